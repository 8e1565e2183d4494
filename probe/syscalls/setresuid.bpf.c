#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setresuid, struct pt_regs *regs, long ret) {
    FIXED(f, SETRESUID);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, regs->si);
    fixed__u32(&f, regs->dx);
    return fixed__submit(&f);
}
