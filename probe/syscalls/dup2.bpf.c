#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(dup2, struct pt_regs *regs, long ret) {
    FIXED(f, DUP2);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__s64(&f, (s32)regs->si);
    return fixed__submit(&f);
}
