#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(io_uring_setup, struct pt_regs *regs, long ret) {
    struct io_uring_head params = READ_USER(struct io_uring_head, regs->si);
    FIXED(f, IO_URING_SETUP);
    fixed__s64(&f, ret);
    fixed__u32(&f, regs->di);
    fixed__u32(&f, params.sq_entries);
    fixed__u32(&f, params.cq_entries);
    fixed__u32(&f, flags__io_uring_setup(params.flags));
    fixed__u32(&f, params.sq_thread_cpu);
    fixed__u32(&f, params.sq_thread_idle);
    fixed__u32(&f, params.features & 0x7ff); // as many as captures have names for
    return fixed__submit(&f);
}
