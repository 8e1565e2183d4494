#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(userfaultfd, struct pt_regs *regs, long ret) {
    FIXED(f, USERFAULTFD);
    fixed__s64(&f, ret);
    fixed__u32(&f, flags__open(regs->di));
    return fixed__submit(&f);
}
