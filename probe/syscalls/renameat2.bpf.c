#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(renameat2, struct pt_regs *regs, long ret) {
    RECORD(r, RENAMEAT2);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__user_str(&r, regs->si);
    record__s64(&r, (s32)regs->dx);
    record__user_str(&r, regs->r10);
    record__u32(&r, regs->r8);
    return record__submit(&r);
}
