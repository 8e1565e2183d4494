#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(ioctl, struct pt_regs *regs, long ret) {
    FIXED(f, IOCTL);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u64(&f, regs->si);
    fixed__u64(&f, regs->dx);
    return fixed__submit(&f);
}
