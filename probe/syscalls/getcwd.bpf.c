#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(getcwd, struct pt_regs *regs, long ret) {
    RECORD(r, GETCWD);
    record__s64(&r, ret);
    record__user_str(&r, ret > 0 ? regs->di : 0);
    return record__submit(&r);
}
