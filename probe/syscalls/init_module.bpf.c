#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(init_module, struct pt_regs *regs, long ret) {
    RECORD(r, INIT_MODULE);
    record__s64(&r, ret);
    record__user_bytes(&r, regs->di, regs->si, DATA_MAX);
    record__u64(&r, regs->si);
    record__user_str(&r, regs->dx);
    return record__submit(&r);
}
