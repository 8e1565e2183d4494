#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(signalfd, struct pt_regs *regs, long ret) {
    FIXED(f, SIGNALFD);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u32(&f, READ_USER(u32, regs->si));
    fixed__u8(&f, 0);
    return fixed__submit(&f);
}
