#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(socketpair, struct pt_regs *regs, long ret) {
    struct descriptors fds = {-1, -1};
    u64 first = 0, second = 0;
    if (!ret) {
        fds = READ_USER(struct descriptors, regs->r10);
        first = fd__sock(fds.first);
        second = fd__sock(fds.second);
    }
    FIXED(f, SOCKETPAIR);
    fixed__s64(&f, ret);
    fixed__s64(&f, fds.first);
    fixed__s64(&f, fds.second);
    fixed__u64(&f, first);
    fixed__u64(&f, second);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, regs->si);
    fixed__u32(&f, regs->dx);
    return fixed__submit(&f);
}
