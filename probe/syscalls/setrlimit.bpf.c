#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(setrlimit, struct pt_regs *regs, long ret) {
    struct rlimit_pair limit = READ_USER(struct rlimit_pair, regs->si);
    FIXED(f, SETRLIMIT);
    fixed__s64(&f, ret);
    fixed__s64(&f, limit.cur);
    fixed__s64(&f, limit.max);
    fixed__u8(&f, rlimit__resource(regs->di));
    return fixed__submit(&f);
}
