#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(chdir, struct pt_regs *regs, long ret) {
    RECORD(r, CHDIR);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    return record__submit(&r);
}
