#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(dup, struct pt_regs *regs, long ret) {
    FIXED(f, DUP);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    return fixed__submit(&f);
}
