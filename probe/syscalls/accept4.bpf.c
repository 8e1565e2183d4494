#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(accept4, struct pt_regs *regs, long ret) {
    RECORD(r, ACCEPT4);
    record__s64(&r, ret);
    if (ret >= 0)
        record__socktuple(&r, ret, 0, true);
    else
        record__none(&r);
    record__backlog(&r, regs->di);
    record__s32(&r, regs->r10);
    return record__submit(&r);
}
