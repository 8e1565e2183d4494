#include "../lib/paths.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(open_by_handle_at, struct pt_regs *regs, long ret) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct file *opened = fd__file(task, ret);
    struct file_facts file = fd__facts(task, ret);
    RECORD(r, OPEN_BY_HANDLE_AT);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, flags__open(regs->dx) | file.flags);
    record__path(&r, opened ? (struct path *)((u64)opened + bpf_core_field_offset(struct file, f_path)) : NULL,
                 task->fs);
    record__u32(&r, file.dev);
    record__u64(&r, file.ino);
    return record__submit(&r);
}
