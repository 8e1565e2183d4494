#include "../lib/dynamic.h"
#include "../lib/flags.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(getsockopt, struct pt_regs *regs, long ret) {
    u32 len = ret < 0 ? 0 : READ_USER(u32, regs->r8);
    RECORD(r, GETSOCKOPT);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__u8(&r, sockopt__level(regs->si));
    record__u8(&r, sockopt__name(regs->si, regs->dx));
    record__sockopt(&r, regs->si, regs->dx, regs->r10, len);
    record__u32(&r, len);
    return record__submit(&r);
}
