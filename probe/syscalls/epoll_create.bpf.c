#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(epoll_create, struct pt_regs *regs, long ret) {
    FIXED(f, EPOLL_CREATE);
    fixed__s64(&f, ret);
    fixed__s32(&f, regs->di);
    return fixed__submit(&f);
}
