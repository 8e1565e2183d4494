#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(connect, struct pt_regs *regs, long ret) {
    RECORD(r, CONNECT);
    record__s64(&r, ret);
    if (ret == 0 || ret == -EINPROGRESS)
        record__socktuple(&r, regs->di, regs->si, false);
    else
        record__none(&r);
    record__s64(&r, (s32)regs->di);
    record__sockaddr(&r, regs->si, regs->dx);
    return record__submit(&r);
}
