#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(readv, struct pt_regs *regs, long ret) {
    RECORD(r, READV);
    record__s64(&r, ret);
    record__u32(&r, iovec__size(regs->si, regs->dx));
    record__iovec(&r, regs->si, regs->dx, ret);
    record__s64(&r, (s32)regs->di);
    return record__submit(&r);
}
