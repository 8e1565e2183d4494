// Kernel path: do_exit, of every thread, whatever ended it; the exit code is set and the children are still there.

#include "../lib/process.h"

#define THREADS_LOOKED_AT 16
#define ANCESTORS_LOOKED_AT 16

// A thread of this group that does not exit; 0 if there is none among the first.
static __always_inline u32 group__survivor(struct task_struct *task) {
    u64 head = (u64)task->signal + bpf_core_field_offset(struct signal_struct, thread_head);
    u64 node = (u64)task->signal->thread_head.next;
    for (u32 i = 0; i < THREADS_LOOKED_AT && node && node != head; i++) {
        u64 other = node - bpf_core_field_offset(struct task_struct, thread_node);
        if (!(READ(struct task_struct, other, flags) & PF_EXITING))
            return READ(struct task_struct, other, pid);
        node = (u64)READ(struct list_head, node, next);
    }
    return 0;
}

// Who gets the children: a thread of the group, else the nearest subreaper, else the init of the pid namespace.
static __always_inline s64 task__reaper(struct task_struct *task) {
    u64 children = (u64)task + bpf_core_field_offset(struct task_struct, children);
    if ((u64)task->children.next == children)
        return 0;
    u32 survivor = group__survivor(task);
    if (survivor)
        return survivor;
    u64 namespace = pid__namespace((u64)task->thread_pid);
    u64 init = (u64)READ(struct pid_namespace, namespace, child_reaper);
    if (task->signal->has_child_subreaper) {
        u64 ancestor = (u64)task->real_parent;
        for (u32 i = 0; i < ANCESTORS_LOOKED_AT && ancestor && ancestor != init; i++) {
            u64 signal = (u64)READ(struct task_struct, ancestor, signal);
            if (READ_BITS(struct signal_struct, signal, is_child_subreaper))
                return READ(struct task_struct, ancestor, pid);
            ancestor = (u64)READ(struct task_struct, ancestor, real_parent);
        }
    }
    return READ(struct task_struct, init, pid);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(procexit, struct task_struct *task) {
    if (!switches.wanted_procexit || task->flags & PF_KTHREAD)
        return 0;
    s64 reaper = task__reaper(task);
    u32 code = task->exit_code;
    FIXED(f, PROCEXIT);
    fixed__s64(&f, code);
    fixed__s64(&f, code >> 8 & 0xff);
    fixed__u8(&f, code & 0x7f);
    fixed__u8(&f, (code & 0x80) != 0);
    fixed__s64(&f, reaper);
    return fixed__submit(&f);
}
