#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(prlimit64, struct pt_regs *regs, long ret) {
    struct rlimit_pair new = {-1, -1}, old = {-1, -1};
    if (regs->dx)
        new = READ_USER(struct rlimit_pair, regs->dx);
    if (ret >= 0 && regs->r10)
        old = READ_USER(struct rlimit_pair, regs->r10);
    FIXED(f, PRLIMIT);
    fixed__s64(&f, ret);
    fixed__s64(&f, new.cur);
    fixed__s64(&f, new.max);
    fixed__s64(&f, old.cur);
    fixed__s64(&f, old.max);
    fixed__s64(&f, (s32)regs->di);
    fixed__u8(&f, rlimit__resource(regs->si));
    return fixed__submit(&f);
}
