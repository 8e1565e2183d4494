#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(open, struct pt_regs *regs, long ret) {
    struct file_facts file = fd__facts(bpf_get_current_task_btf(), ret);
    RECORD(r, OPEN);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__u32(&r, flags__open(regs->si) | file.flags);
    record__u32(&r, mode__open(regs->si, regs->dx));
    record__u32(&r, file.dev);
    record__u64(&r, file.ino);
    return record__submit(&r);
}
