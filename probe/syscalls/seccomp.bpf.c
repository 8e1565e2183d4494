#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(seccomp, struct pt_regs *regs, long ret) {
    FIXED(f, SECCOMP);
    fixed__s64(&f, ret);
    fixed__u64(&f, (u32)regs->di);
    fixed__u64(&f, (u32)regs->si);
    return fixed__submit(&f);
}
