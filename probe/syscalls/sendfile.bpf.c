#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(sendfile, struct pt_regs *regs, long ret) {
    FIXED(f, SENDFILE);
    fixed__s64(&f, ret);
    fixed__u64(&f, regs->dx ? READ_USER(u64, regs->dx) : 0);
    fixed__s64(&f, (s32)regs->di);
    fixed__s64(&f, (s32)regs->si);
    fixed__u64(&f, regs->r10);
    return fixed__submit(&f);
}
