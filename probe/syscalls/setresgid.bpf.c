#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setresgid, struct pt_regs *regs, long ret) {
    FIXED(f, SETRESGID);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, regs->si);
    fixed__u32(&f, regs->dx);
    return fixed__submit(&f);
}
