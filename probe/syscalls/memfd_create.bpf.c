#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(memfd_create, struct pt_regs *regs, long ret) {
    RECORD(r, MEMFD_CREATE);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__u32(&r, regs->si);
    return record__submit(&r);
}
