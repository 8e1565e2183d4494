#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(prctl, struct pt_regs *regs, long ret) {
    RECORD(r, PRCTL);
    record__s64(&r, ret);
    record__u32(&r, regs->di);
    record__user_str(&r, regs->di == PR_SET_NAME ? regs->si : 0);
    record__s64(&r, regs->di == PR_SET_NAME              ? 0
                    : regs->di == PR_GET_CHILD_SUBREAPER ? READ_USER(s32, regs->si)
                                                         : (s64)regs->si);
    return record__submit(&r);
}
