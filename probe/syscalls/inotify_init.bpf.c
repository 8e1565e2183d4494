#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(inotify_init, struct pt_regs *regs, long ret) {
    FIXED(f, INOTIFY_INIT);
    fixed__s64(&f, ret);
    fixed__u8(&f, 0);
    return fixed__submit(&f);
}
