#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(eventfd2, struct pt_regs *regs, long ret) {
    FIXED(f, EVENTFD2);
    fixed__s64(&f, ret);
    fixed__u16(&f, flags__fd(regs->si));
    fixed__u64(&f, (u32)regs->di);
    return fixed__submit(&f);
}
