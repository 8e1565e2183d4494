#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(eventfd, struct pt_regs *regs, long ret) {
    FIXED(f, EVENTFD);
    fixed__s64(&f, ret);
    fixed__u64(&f, (u32)regs->di);
    fixed__u32(&f, 0);
    return fixed__submit(&f);
}
