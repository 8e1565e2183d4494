#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setreuid, struct pt_regs *regs, long ret) {
    FIXED(f, SETREUID);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, regs->si);
    return fixed__submit(&f);
}
