#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(inotify_init1, struct pt_regs *regs, long ret) {
    FIXED(f, INOTIFY_INIT1);
    fixed__s64(&f, ret);
    fixed__u16(&f, flags__fd(regs->di));
    return fixed__submit(&f);
}
