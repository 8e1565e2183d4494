#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(futex, struct pt_regs *regs, long ret) {
    FIXED(f, FUTEX);
    fixed__s64(&f, ret);
    fixed__u64(&f, regs->di);
    fixed__u16(&f, regs->si);
    fixed__u64(&f, (u32)regs->dx);
    return fixed__submit(&f);
}
