#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(munlockall, struct pt_regs *regs, long ret) {
    FIXED(f, MUNLOCKALL);
    fixed__s64(&f, ret);
    return fixed__submit(&f);
}
