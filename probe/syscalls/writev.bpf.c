#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(writev, struct pt_regs *regs, long ret) {
    RECORD(r, WRITEV);
    record__s64(&r, ret);
    record__iovec(&r, regs->si, regs->dx, ret < 0 ? DATA_MAX : ret);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, iovec__size(regs->si, regs->dx));
    return record__submit(&r);
}
