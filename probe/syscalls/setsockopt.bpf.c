#include "../lib/dynamic.h"
#include "../lib/flags.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setsockopt, struct pt_regs *regs, long ret) {
    RECORD(r, SETSOCKOPT);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__u8(&r, sockopt__level(regs->si));
    record__u8(&r, sockopt__name(regs->si, regs->dx));
    record__sockopt(&r, regs->si, regs->dx, regs->r10, regs->r8);
    record__u32(&r, regs->r8);
    return record__submit(&r);
}
