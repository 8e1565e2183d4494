#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(umount2, struct pt_regs *regs, long ret) {
    RECORD(r, UMOUNT2);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__u32(&r, regs->si);
    return record__submit(&r);
}
