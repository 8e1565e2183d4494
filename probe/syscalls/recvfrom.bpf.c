#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(recvfrom, struct pt_regs *regs, long ret) {
    RECORD(r, RECVFROM);
    record__s64(&r, ret);
    record__payload(&r, regs->si, ret, DATA_MAX);
    if (ret >= 0)
        record__socktuple(&r, regs->di, regs->r8, true);
    else
        record__none(&r);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, regs->dx);
    return record__submit(&r);
}
