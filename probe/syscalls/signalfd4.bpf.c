#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(signalfd4, struct pt_regs *regs, long ret) {
    FIXED(f, SIGNALFD4);
    fixed__s64(&f, ret);
    fixed__u16(&f, flags__fd(regs->r10));
    fixed__s64(&f, (s32)regs->di);
    fixed__u32(&f, READ_USER(u32, regs->si));
    return fixed__submit(&f);
}
