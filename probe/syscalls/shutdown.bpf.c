#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(shutdown, struct pt_regs *regs, long ret) {
    FIXED(f, SHUTDOWN);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u8(&f, regs->si);
    return fixed__submit(&f);
}
