#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(getgid, struct pt_regs *regs, long ret) {
    FIXED(f, GETGID);
    fixed__u32(&f, ret);
    return fixed__submit(&f);
}
