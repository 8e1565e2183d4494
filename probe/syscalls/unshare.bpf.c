#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(unshare, struct pt_regs *regs, long ret) {
    FIXED(f, UNSHARE);
    fixed__s64(&f, ret);
    fixed__u32(&f, flags__clone(regs->di));
    return fixed__submit(&f);
}
