#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(dup3, struct pt_regs *regs, long ret) {
    FIXED(f, DUP3);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__s64(&f, (s32)regs->si);
    fixed__u32(&f, flags__fd(regs->dx));
    return fixed__submit(&f);
}
