#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(fchownat, struct pt_regs *regs, long ret) {
    RECORD(r, FCHOWNAT);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__user_str(&r, regs->si);
    record__u32(&r, regs->dx);
    record__u32(&r, regs->r10);
    record__u32(&r, flags__chown(regs->r8));
    return record__submit(&r);
}
