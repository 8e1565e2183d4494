#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(chown, struct pt_regs *regs, long ret) {
    RECORD(r, CHOWN);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__u32(&r, regs->si);
    record__u32(&r, regs->dx);
    return record__submit(&r);
}
