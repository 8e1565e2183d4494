#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(flock, struct pt_regs *regs, long ret) {
    FIXED(f, FLOCK);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u32(&f, regs->si & 15);
    return fixed__submit(&f);
}
