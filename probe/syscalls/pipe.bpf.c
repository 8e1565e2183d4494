#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(pipe, struct pt_regs *regs, long ret) {
    struct descriptors fds = {-1, -1};
    if (!ret)
        fds = READ_USER(struct descriptors, regs->di);
    struct file_facts file = fd__facts(bpf_get_current_task_btf(), fds.first);
    FIXED(f, PIPE);
    fixed__s64(&f, ret);
    fixed__s64(&f, fds.first);
    fixed__s64(&f, fds.second);
    fixed__u64(&f, file.ino);
    return fixed__submit(&f);
}
