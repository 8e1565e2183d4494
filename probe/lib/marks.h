// What the collector knows of each task, kept on the task itself: whoever is not known is described from /proc before
// the first event that carries a question (record_header.asks). Nothing is ever asked of a host from elsewhere.

#pragma once

#include "maps.h"

// Questions in a record: describe this thread; describe the whole process, its descriptors too. Above these bits is the
// number of the process (at most 2^22), as the thread may be gone when its process is not.
#define ASKS_THREAD 1u
#define ASKS_PROCESS 2u
#define ASKS_BITS 2

// Known means: equal to switches.epoch, which begins at 1 and grows when all that was told may be lost. Words of their
// own, so that threads on other CPUs can set theirs without atomics.
struct mark {
    u32 thread;  // its clone was delivered, or a question about it
    u32 process; // on the leader: the same, and no event that changes what the process is or has open was lost since
    u32 heir;    // it was cloned by a process that was not known: what it inherited is not known either
    u32 maker;   // of one whose parent cannot tell of it, as they have other numbers for it: who forked it
    u64 told;    // on the leader: threads that began before this boot time were told with the process
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct mark);
} marks_map SEC(".maps");

// Off where the kernel has no task storage for these programs: then nobody is asked for.
const volatile bool targ_marks = true;

// How often a mark was taken back, or would have been if there were one.
volatile u64 losses = 0;

static __always_inline struct mark *mark__find(struct task_struct *task) {
    return bpf_task_storage_get(&marks_map, task, NULL, 0);
}

static __always_inline struct mark *mark__make(struct task_struct *task) {
    return bpf_task_storage_get(&marks_map, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

// What the marks say is to be asked about the current task.
static __noinline u32 marks__ask(void) {
    struct task_struct *task = bpf_get_current_task_btf();
    u32 epoch = switches.epoch;
    struct mark *own = mark__find(task);
    if (task->pid == task->tgid) {
        if (!own)
            return ASKS_THREAD | ASKS_PROCESS;
        return (own->thread == epoch ? 0 : ASKS_THREAD) | (own->process == epoch ? 0 : ASKS_PROCESS);
    }
    struct mark *leader = mark__find(task->group_leader);
    if (!leader || leader->process != epoch)
        return ASKS_PROCESS | (own && own->thread == epoch ? 0 : ASKS_THREAD);
    if ((own && own->thread == epoch) || task->start_boottime < leader->told)
        return 0;
    return ASKS_THREAD;
}

// The same about `task` (bpf_get_current_pid_tgid; calls of helpers are what costs here), without a look at the marks
// if this CPU had it before and no mark was taken back since.
static __always_inline u32 marks__question(struct counters *counters, u64 task) {
    if (!targ_marks)
        return 0;
    struct known *known = &((struct per_cpu *)counters)->known;
    u64 losses_before = losses, epoch = switches.epoch;
    if (known->task == task && known->losses == losses_before && known->epoch == epoch)
        return 0;
    u32 asks = marks__ask();
    if (asks)
        return asks | (u32)(task >> 32) << ASKS_BITS;
    known->task = task;
    known->losses = losses_before;
    known->epoch = epoch;
    return 0;
}

// What to ask before a clone's report by its child, which itself says all but what an unknown parent has left it.
static __always_inline u32 marks__question_of_child(u64 task) {
    if (!targ_marks)
        return 0;
    struct task_struct *child = bpf_get_current_task_btf();
    struct mark *mark = mark__find(child);
    if (!mark)
        return 0;
    // Who forked it has ended before it ran, or is about to: nobody knows any more what it inherited.
    bool left = mark->maker && (mark->maker != child->real_parent->pid || child->real_parent->flags & PF_EXITING);
    return mark->heir || left ? ASKS_THREAD | ASKS_PROCESS | (u32)(task >> 32) << ASKS_BITS : 0;
}

// The record with the question, or the child's report of its clone, is in the ring.
static __noinline int marks__answer(u32 asks) {
    if (!targ_marks)
        return 0;
    struct task_struct *task = bpf_get_current_task_btf();
    u32 epoch = switches.epoch;
    struct mark *mark = mark__make(task);
    if (mark) {
        mark->thread = epoch;
        mark->heir = 0;
    }
    if (task->pid != task->tgid) {
        if (!(asks & ASKS_PROCESS))
            return 0;
        mark = mark__make(task->group_leader);
    }
    if (mark) {
        if (asks & ASKS_PROCESS)
            mark->told = bpf_ktime_get_boot_ns();
        mark->process = epoch;
    }
    return 0;
}

// An event that changed the current process did not get into the ring.
static __noinline int marks__lose(void) {
    if (!targ_marks)
        return 0;
    struct mark *mark = mark__find(bpf_get_current_task_btf()->group_leader);
    if (mark) {
        // Already taken back, and nobody has had it in mind since: a flood of losses disturbs no other CPU.
        if (!mark->process)
            return 0;
        mark->process = 0;
    }
    __sync_fetch_and_add(&losses, 1);
    return 0;
}

// A clone's report by its child did not: it has no mark, but who had its number before may have had one.
static __always_inline void marks__lose_child(void) {
    __sync_fetch_and_add(&losses, 1);
}
