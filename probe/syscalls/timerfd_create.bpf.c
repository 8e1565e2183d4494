#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(timerfd_create, struct pt_regs *regs, long ret) {
    FIXED(f, TIMERFD_CREATE);
    fixed__s64(&f, ret);
    fixed__u8(&f, regs->di);
    fixed__u8(&f, !!(regs->si & 02000000)); // TFD_CLOEXEC
    return fixed__submit(&f);
}
