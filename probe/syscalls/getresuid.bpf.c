#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(getresuid, struct pt_regs *regs, long ret) {
    FIXED(f, GETRESUID);
    fixed__s64(&f, ret);
    fixed__u32(&f, READ_USER(u32, regs->di));
    fixed__u32(&f, READ_USER(u32, regs->si));
    fixed__u32(&f, READ_USER(u32, regs->dx));
    return fixed__submit(&f);
}
