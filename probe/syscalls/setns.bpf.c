#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setns, struct pt_regs *regs, long ret) {
    FIXED(f, SETNS);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u32(&f, flags__clone(regs->si));
    return fixed__submit(&f);
}
