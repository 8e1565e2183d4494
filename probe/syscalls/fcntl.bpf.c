#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(fcntl, struct pt_regs *regs, long ret) {
    FIXED(f, FCNTL);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->di);
    fixed__u8(&f, fcntl__command(regs->si));
    fixed__u64(&f, regs->dx);
    return fixed__submit(&f);
}
