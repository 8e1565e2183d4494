#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(newfstatat, struct pt_regs *regs, long ret) {
    RECORD(r, NEWFSTATAT);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__user_str(&r, regs->si);
    record__u32(&r, regs->r10 & 0x1900);
    return record__submit(&r);
}
