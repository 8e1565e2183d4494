#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(nanosleep, struct pt_regs *regs, long ret) {
    struct user_time time = READ_USER(struct user_time, regs->di);
    FIXED(f, NANOSLEEP);
    fixed__s64(&f, ret);
    fixed__u64(&f, time.seconds * 1000000000ull + time.nanoseconds);
    return fixed__submit(&f);
}
