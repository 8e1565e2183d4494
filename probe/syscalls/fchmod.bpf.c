#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(fchmod, struct pt_regs *regs, long ret) {
    FIXED(f, FCHMOD);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u32(&f, regs->si & 07777);
    return fixed__submit(&f);
}
