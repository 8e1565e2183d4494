#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(epoll_create1, struct pt_regs *regs, long ret) {
    FIXED(f, EPOLL_CREATE1);
    fixed__s64(&f, ret);
    fixed__u32(&f, FLAG(regs->di, 02000000, EPOLL_CREATE1_FLAGS__EPOLL_CLOEXEC));
    return fixed__submit(&f);
}
