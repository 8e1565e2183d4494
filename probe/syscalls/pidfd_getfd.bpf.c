#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(pidfd_getfd, struct pt_regs *regs, long ret) {
    FIXED(f, PIDFD_GETFD);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__s64(&f, (s32)regs->si);
    fixed__u32(&f, regs->dx);
    return fixed__submit(&f);
}
