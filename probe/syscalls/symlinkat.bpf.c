#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(symlinkat, struct pt_regs *regs, long ret) {
    RECORD(r, SYMLINKAT);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__s64(&r, (s32)regs->si);
    record__user_str(&r, regs->dx);
    return record__submit(&r);
}
