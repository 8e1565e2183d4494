#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(sendto, struct pt_regs *regs, long ret) {
    RECORD(r, SENDTO);
    record__s64(&r, ret);
    record__payload(&r, regs->si, ret < 0 ? (s64)regs->dx : ret, DATA_MAX);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, regs->dx);
    record__socktuple(&r, regs->di, regs->r8, false);
    return record__submit(&r);
}
