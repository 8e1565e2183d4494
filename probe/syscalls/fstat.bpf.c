#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(fstat, struct pt_regs *regs, long ret) {
    FIXED(f, FSTAT);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    return fixed__submit(&f);
}
