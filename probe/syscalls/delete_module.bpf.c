#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(delete_module, struct pt_regs *regs, long ret) {
    RECORD(r, DELETE_MODULE);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__u32(&r, FLAG(regs->si, 04000, DELETE_MODULE_FLAGS__O_NONBLOCK) |
                        FLAG(regs->si, 01000, DELETE_MODULE_FLAGS__O_TRUNC));
    return record__submit(&r);
}
