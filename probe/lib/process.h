// What clone and exec events tell of the current process. They are rare and large, so nothing here is measured in
// nanoseconds; every parameter is in the order of the event table.

#pragma once

#include "paths.h"

#define ARGS_MAX 4095

// A stretch of user memory with NUL-separated strings: as a parameter it always ends in NUL.
static __always_inline void record__strings(struct record *r, u64 start, u64 end) {
    u32 before = r->pos;
    record__user_bytes(r, start, end > start ? end - start : 0, ARGS_MAX);
    if (r->pos != before)
        r->s->data[(r->pos - 1) & POSITION_MASK] = 0;
}

// exe and args: the first string of the argument area and the rest of it.
static __always_inline void record__arguments(struct record *r, struct task_struct *task) {
    struct mm_struct *mm = task->mm;
    if (!mm) {
        record__none(r);
        record__none(r);
        return;
    }
    u64 start = mm->arg_start, end = mm->arg_end;
    u32 before = r->pos;
    record__user_str(r, start);
    record__strings(r, start + (r->pos - before), end);
}

// Strings behind a NULL-terminated table of pointers of user memory, as the caller of a failed exec gave them.
__noinline u32 scratch__pointers(struct scratch *s, u32 pos, u64 table) {
    if (!s)
        return 0;
    u32 start = pos;
    for (u32 i = 0; i < 64; i++) {
        u64 address = READ_USER(u64, table + 8 * i);
        if (!address || pos - start >= ARGS_MAX)
            break;
        u32 at = pos;
        OPAQUE(at);
        at &= POSITION_MASK;
        long len = read__user_str(&s->data[at], STRING_MAX, address);
        if (len <= 0)
            break;
        pos += len;
    }
    if (pos - start > ARGS_MAX) {
        pos = start + ARGS_MAX;
        s->data[(pos - 1) & POSITION_MASK] = 0;
    }
    return pos - start;
}

static __always_inline void record__pointers(struct record *r, u64 table) {
    record__push(r, table ? scratch__pointers(r->s, r->pos, table) : 0);
}

static __always_inline void record__cwd(struct record *r, struct task_struct *task) {
    struct fs_struct *fs = task->fs;
    record__path(r, fs ? &fs->pwd : NULL, fs);
}

#define CGROUP(r, set, id, name, at)                                                                                   \
    if (bpf_core_enum_value_exists(enum cgroup_subsys_id, id)) {                                                       \
        struct cgroup_subsys_state *__state =                                                                          \
            (void *)read__pointer((u64)(set) + bpf_core_field_offset(struct css_set, subsys),                          \
                                  bpf_core_enum_value(enum cgroup_subsys_id, id));                                     \
        if (__state) {                                                                                                 \
            __builtin_memcpy(&(r)->s->data[(at)&POSITION_MASK], name "=", sizeof(name));                               \
            (at) += sizeof(name);                                                                                      \
            (r)->s->node = (u64)READ(struct cgroup, READ(struct cgroup_subsys_state, __state, cgroup), kn);            \
            (at) += scratch__cgroup((r)->s, at);                                                                       \
        }                                                                                                              \
    }

static __always_inline void record__cgroups(struct record *r, struct task_struct *task) {
    u32 at = r->pos;
    if (targ_raw || targ_probe_kernel) {
        u64 set = (u64)task->cgroups;
        CGROUP(r, set, cpuset_cgrp_id, "cpuset", at)
        CGROUP(r, set, cpu_cgrp_id, "cpu", at)
        CGROUP(r, set, cpuacct_cgrp_id, "cpuacct", at)
        CGROUP(r, set, io_cgrp_id, "io", at)
        CGROUP(r, set, memory_cgrp_id, "memory", at)
    }
    record__push(r, at - r->pos);
}

// Name of the current thread and a NUL.
__noinline u32 scratch__comm(struct scratch *s, u32 pos) {
    if (!s)
        return 0;
    pos &= POSITION_MASK;
    bpf_get_current_comm(&s->data[pos], 16);
    for (u32 len = 0; len < 15; len++)
        if (!s->data[pos + len])
            return len + 1;
    s->data[pos + 15] = 0;
    return 16;
}

// tid, pid, ptid, cwd, fdlimit, page faults, memory, comm, cgroups.
static __always_inline void record__process(struct record *r, struct task_struct *task) {
    record__s64(r, task->pid);
    record__s64(r, task->tgid);
    record__s64(r, task->real_parent->pid);
    record__cwd(r, task);
    record__u64(r, task->signal->rlim[RLIMIT_NOFILE].rlim_cur);
    record__u64(r, task->maj_flt);
    record__u64(r, task->min_flt);
    struct memory memory = task__memory(task);
    record__u32(r, memory.size);
    record__u32(r, memory.resident);
    record__u32(r, memory.swapped);
    record__push(r, scratch__comm(r->s, r->pos));
    record__cgroups(r, task);
}

// clone, fork, vfork and clone3, in the parent (ret = the child, or an error) and in the child (ret = 0).
static __always_inline int record__clone(struct record *r, long ret, u64 flags) {
    struct task_struct *task = bpf_get_current_task_btf();
    // The caller stays what it was. A child whose report is lost has no mark, and is asked about at its next event.
    r->changes = false;
    r->child = !ret;
    record__s64(r, ret);
    record__arguments(r, task);
    record__process(r, task);
    record__u32(r, flags__clone(flags) | (task__child_in_pidns(task) ? CLONE_FLAGS__CLONE_CHILD_IN_PIDNS : 0));
    struct credentials cred = task__credentials(task);
    record__u32(r, cred.euid);
    record__u32(r, cred.egid);
    record__s64(r, pid__nr((u64)task->thread_pid, false));
    record__s64(r, pid__nr((u64)task->signal->pids[PIDTYPE_TGID], false));
    record__u64(r, task__init_start(task));
    return record__submit(r);
}

// After comm and cgroups of an exec: env has been written; tty up to gid.
static __always_inline void record__program(struct record *r, struct task_struct *task) {
    struct credentials cred = task__credentials(task);
    u64 file = task->mm ? (u64)task->mm->exe_file : 0;
    u64 inode = (u64)READ(struct file, file, f_inode);
    u64 mnt = (u64)READ(struct file, file, f_path.mnt);
    u64 dentry = (u64)READ(struct file, file, f_path.dentry);
    u64 name = (u64)READ(struct dentry, dentry, d_name.name);
    u32 flags = exe__writable(inode, mnt, &cred) ? EXECVE_FLAGS__EXE_WRITABLE : 0;
    if (READ(struct super_block, READ(struct inode, inode, i_sb), s_magic) == OVERLAYFS_MAGIC)
        flags |= inode__in_upper(inode) ? EXECVE_FLAGS__EXE_UPPER_LAYER : EXECVE_FLAGS__EXE_LOWER_LAYER;
    if ((u64)READ(struct dentry, dentry, d_parent) == dentry && (targ_raw || targ_probe_kernel) &&
        (read__kernel_u64(name) & 0xffffffffffff) == 0x3a64666d656d /* "memfd:" */)
        flags |= EXECVE_FLAGS__EXE_FROM_MEMFD;
    record__u32(r, task__tty(task));
    record__s64(r, pid__nr((u64)task->signal->pids[PIDTYPE_PGID], false));
    record__u32(r, task->loginuid.val);
    record__u32(r, flags);
    record__u64(r, cred.inheritable);
    record__u64(r, cred.permitted);
    record__u64(r, cred.effective);
    record__u64(r, READ(struct inode, inode, i_ino));
    record__u64(r, inode__ctime(inode));
    record__u64(r, inode__mtime(inode));
    record__u32(r, cred.euid);
    record__path(r, file ? (struct path *)(file + bpf_core_field_offset(struct file, f_path)) : NULL, task->fs);
    record__s64(r, pid__nr((u64)task->signal->pids[PIDTYPE_PGID], true));
    record__u32(r, cred.egid);
}

// A failed exec: the process is what it was, the arguments are what the caller gave.
static __always_inline void record__failed_exec(struct record *r, long ret, u64 argv, u64 envp) {
    struct task_struct *task = bpf_get_current_task_btf();
    record__s64(r, ret);
    record__user_str(r, argv ? READ_USER(u64, argv) : 0);
    record__pointers(r, argv ? argv + 8 : 0);
    record__process(r, task);
    record__pointers(r, envp);
    record__program(r, task);
}

// A successful exec: everything is the new program's.
static __always_inline void record__exec(struct record *r, struct task_struct *task) {
    record__s64(r, 0);
    record__arguments(r, task);
    record__process(r, task);
    if (task->mm)
        record__strings(r, task->mm->env_start, task->mm->env_end);
    else
        record__none(r);
    record__program(r, task);
}
