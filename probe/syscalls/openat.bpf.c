#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(openat, struct pt_regs *regs, long ret) {
    RECORD(r, OPENAT);
    struct file_facts file = fd__facts(bpf_get_current_task_btf(), ret);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__user_str(&r, regs->si);
    record__u32(&r, flags__open(regs->dx) | file.flags);
    record__u32(&r, mode__open(regs->dx, regs->r10));
    record__u32(&r, file.dev);
    record__u64(&r, file.ino);
    return record__submit(&r);
}
