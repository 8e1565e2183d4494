#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(bind, struct pt_regs *regs, long ret) {
    RECORD(r, BIND);
    record__s64(&r, ret);
    if (ret)
        record__sockaddr(&r, regs->si, regs->dx);
    else
        record__bound(&r, regs->di, regs->si, regs->dx);
    record__s64(&r, (s32)regs->di);
    return record__submit(&r);
}
