#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(mlock, struct pt_regs *regs, long ret) {
    FIXED(f, MLOCK);
    fixed__s64(&f, ret);
    fixed__u64(&f, regs->di);
    fixed__u64(&f, regs->si);
    return fixed__submit(&f);
}
