// Kernel path: copy_process, in the parent, before the child first runs. The flags of a clone3 lie in memory that
// parent and child share, and the parent may have used it for something else when the child comes to its exit: so they
// are read here and kept on the child. A child of an unknown process is marked here, too: both are still at hand.

#include "../lib/process.h"

// Whether anything of this process is not known to the collector.
static __always_inline bool process__unknown(struct task_struct *task) {
    struct mark *mark = mark__find(task->group_leader);
    return !mark || mark->process != switches.epoch;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(announce, struct task_struct *parent, struct task_struct *child) {
    if (!targ_marks)
        return 0;
    bool unknown = process__unknown(parent), nested = task__child_in_pidns(parent);
    if (child->pid == child->tgid && (unknown || nested)) {
        struct mark *mark = mark__make(child);
        if (mark) {
            mark->heir = unknown;
            mark->maker = nested ? parent->pid : 0;
        }
    }
    if (!syscall__wanted(SYSCALL_CLONE3))
        return 0;
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
    if (regs->orig_ax != SYSCALL_CLONE3)
        return 0;
    u64 *flags = bpf_task_storage_get(&clone_flags_map, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (flags)
        *flags = READ_USER(u64, regs->di);
    return 0;
}
