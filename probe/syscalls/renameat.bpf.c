#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(renameat, struct pt_regs *regs, long ret) {
    RECORD(r, RENAMEAT);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__user_str(&r, regs->si);
    record__s64(&r, (s32)regs->dx);
    record__user_str(&r, regs->r10);
    return record__submit(&r);
}
