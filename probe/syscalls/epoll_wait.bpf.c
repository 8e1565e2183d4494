#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(epoll_wait, struct pt_regs *regs, long ret) {
    FIXED(f, EPOLL_WAIT);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->dx);
    return fixed__submit(&f);
}
