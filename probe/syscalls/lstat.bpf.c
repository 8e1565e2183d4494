#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(lstat, struct pt_regs *regs, long ret) {
    RECORD(r, LSTAT);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    return record__submit(&r);
}
