#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(read, struct pt_regs *regs, long ret) {
    RECORD(r, READ);
    record__s64(&r, ret);
    record__payload(&r, regs->si, ret, DATA_MAX);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, regs->dx);
    return record__submit(&r);
}
