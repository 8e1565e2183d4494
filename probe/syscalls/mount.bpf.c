#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(mount, struct pt_regs *regs, long ret) {
    RECORD(r, MOUNT);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__user_str(&r, regs->si);
    record__user_str(&r, regs->dx);
    record__u32(&r, flags__mount(regs->r10));
    return record__submit(&r);
}
