#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(splice, struct pt_regs *regs, long ret) {
    FIXED(f, SPLICE);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__s64(&f, (s32)regs->dx);
    fixed__u64(&f, regs->r8);
    fixed__u32(&f, regs->r9);
    return fixed__submit(&f);
}
