#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setregid, struct pt_regs *regs, long ret) {
    FIXED(f, SETREGID);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, regs->si);
    return fixed__submit(&f);
}
