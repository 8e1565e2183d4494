#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(creat, struct pt_regs *regs, long ret) {
    struct file_facts file = fd__facts(bpf_get_current_task_btf(), ret);
    RECORD(r, CREAT);
    record__s64(&r, ret);
    record__user_str(&r, regs->di);
    record__u32(&r, regs->si & 07777);
    record__u32(&r, file.dev);
    record__u64(&r, file.ino);
    record__u16(&r, (file.flags & FILE_FLAGS__FD_UPPER_LAYER ? CREAT_FLAGS__FD_UPPER_LAYER_CREAT : 0) |
                        (file.flags & FILE_FLAGS__FD_LOWER_LAYER ? CREAT_FLAGS__FD_LOWER_LAYER_CREAT : 0));
    return record__submit(&r);
}
