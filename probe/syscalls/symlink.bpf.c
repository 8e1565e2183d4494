#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(symlink, struct pt_regs *regs, long ret) {
    RECORD(r, SYMLINK);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__user_str(&r, regs->si);
    return record__submit(&r);
}
