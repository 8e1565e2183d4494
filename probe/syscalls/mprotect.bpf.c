#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(mprotect, struct pt_regs *regs, long ret) {
    FIXED(f, MPROTECT);
    fixed__s64(&f, ret);
    fixed__u64(&f, regs->di);
    fixed__u64(&f, regs->si);
    fixed__u32(&f, flags__prot(regs->dx));
    return fixed__submit(&f);
}
