#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(listen, struct pt_regs *regs, long ret) {
    FIXED(f, LISTEN);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__s32(&f, regs->si);
    return fixed__submit(&f);
}
