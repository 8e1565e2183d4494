#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(socket, struct pt_regs *regs, long ret) {
    FIXED(f, SOCKET);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, regs->si);
    fixed__u32(&f, regs->dx);
    fixed__u32(&f, flags__fd(regs->si));
    return fixed__submit(&f);
}
