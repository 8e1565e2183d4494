#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setuid, struct pt_regs *regs, long ret) {
    FIXED(f, SETUID);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    return fixed__submit(&f);
}
