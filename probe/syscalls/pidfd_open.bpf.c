#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(pidfd_open, struct pt_regs *regs, long ret) {
    FIXED(f, PIDFD_OPEN);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u32(&f, FLAG(regs->si, 04000, PIDFD_OPEN_FLAGS__PIDFD_NONBLOCK));
    return fixed__submit(&f);
}
