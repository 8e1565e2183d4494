// Facts out of the kernel's structures, one at a time, as plain numbers.

#pragma once

#include "events.h"
#include "read.h"

// ---- flags: the kernel's bits to those of captures ----

#define FLAG(from, bit, to) (((from) & (bit)) == (bit) ? (to) : 0)

static __always_inline u32 flags__open(u64 flags) {
    u32 out = (flags & 3) == 3 ? 0 : (flags & 3) + 1;
    out |= FLAG(flags, 0100, FILE_FLAGS__O_CREAT) | FLAG(flags, 0200, FILE_FLAGS__O_EXCL);
    out |= FLAG(flags, 01000, FILE_FLAGS__O_TRUNC) | FLAG(flags, 02000, FILE_FLAGS__O_APPEND);
    out |= FLAG(flags, 04000, FILE_FLAGS__O_NONBLOCK) | FLAG(flags, 010000, FILE_FLAGS__O_DSYNC);
    out |= FLAG(flags, 04010000, FILE_FLAGS__O_SYNC) | FLAG(flags, 040000, FILE_FLAGS__O_DIRECT);
    out |= FLAG(flags, 0100000, FILE_FLAGS__O_LARGEFILE) | FLAG(flags, 0200000, FILE_FLAGS__O_DIRECTORY);
    out |= FLAG(flags, 02000000, FILE_FLAGS__O_CLOEXEC) | FLAG(flags, 020200000, FILE_FLAGS__O_TMPFILE);
    return out;
}

// Permission bits count only where the call may create a file.
static __always_inline u32 mode__open(u64 flags, u64 mode) {
    return (flags & 0100) || (flags & 020200000) == 020200000 ? mode & 07777 : 0;
}

static __always_inline u32 flags__clone(u64 flags) {
    u32 out = 0;
    out |= FLAG(flags, 0x00000100, CLONE_FLAGS__CLONE_VM) | FLAG(flags, 0x00000200, CLONE_FLAGS__CLONE_FS);
    out |= FLAG(flags, 0x00000400, CLONE_FLAGS__CLONE_FILES) | FLAG(flags, 0x00000800, CLONE_FLAGS__CLONE_SIGHAND);
    out |= FLAG(flags, 0x00002000, CLONE_FLAGS__CLONE_PTRACE) | FLAG(flags, 0x00004000, CLONE_FLAGS__CLONE_VFORK);
    out |= FLAG(flags, 0x00008000, CLONE_FLAGS__CLONE_PARENT) | FLAG(flags, 0x00010000, CLONE_FLAGS__CLONE_THREAD);
    out |= FLAG(flags, 0x00020000, CLONE_FLAGS__CLONE_NEWNS) | FLAG(flags, 0x00040000, CLONE_FLAGS__CLONE_SYSVSEM);
    out |= FLAG(flags, 0x00080000, CLONE_FLAGS__CLONE_SETTLS);
    out |= FLAG(flags, 0x00100000, CLONE_FLAGS__CLONE_PARENT_SETTID);
    out |= FLAG(flags, 0x00200000, CLONE_FLAGS__CLONE_CHILD_CLEARTID);
    out |= FLAG(flags, 0x00800000, CLONE_FLAGS__CLONE_UNTRACED);
    out |= FLAG(flags, 0x01000000, CLONE_FLAGS__CLONE_CHILD_SETTID);
    out |= FLAG(flags, 0x02000000, CLONE_FLAGS__CLONE_NEWCGROUP);
    out |= FLAG(flags, 0x04000000, CLONE_FLAGS__CLONE_NEWUTS) | FLAG(flags, 0x08000000, CLONE_FLAGS__CLONE_NEWIPC);
    out |= FLAG(flags, 0x10000000, CLONE_FLAGS__CLONE_NEWUSER) | FLAG(flags, 0x20000000, CLONE_FLAGS__CLONE_NEWPID);
    out |= FLAG(flags, 0x40000000, CLONE_FLAGS__CLONE_NEWNET) | FLAG(flags, 0x80000000, CLONE_FLAGS__CLONE_IO);
    return out;
}

// ---- files ----

// A device number of the kernel (major << 20 | minor) as stat and captures have it.
static __always_inline u32 dev__encode(u32 dev) {
    u32 major = dev >> 20, minor = dev & 0xfffff;
    return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

// The open file behind a descriptor of this task, NULL if there is none.
static __always_inline struct file *fd__file(struct task_struct *task, s64 fd) {
    struct fdtable *table = task->files->fdt;
    if (fd < 0 || (u64)fd >= table->max_fds)
        return NULL;
    return (struct file *)read__pointer((u64)table->fd, fd);
}

struct file_facts {
    u32 dev;
    u64 ino;
    u32 flags;
};

// On an overlay, the inode of the upper layer stands right behind the VFS inode in the overlay's own.
static __always_inline bool inode__in_upper(u64 inode) {
    return read__pointer(inode + bpf_core_type_size(struct inode), 0) != 0;
}

static __always_inline struct file_facts fd__facts(struct task_struct *task, s64 fd) {
    struct file_facts facts = {};
    struct file *file = fd__file(task, fd);
    if (!file)
        return facts;
    u64 inode = (u64)READ(struct file, file, f_inode);
    u64 sb = (u64)READ(struct inode, inode, i_sb);
    facts.dev = dev__encode(READ(struct super_block, sb, s_dev));
    facts.ino = READ(struct inode, inode, i_ino);
    if (READ(struct file, file, f_mode) & FMODE_CREATED)
        facts.flags |= FILE_FLAGS__O_F_CREATED;
    if (READ(struct super_block, sb, s_magic) == OVERLAYFS_MAGIC)
        facts.flags |= inode__in_upper(inode) ? FILE_FLAGS__FD_UPPER_LAYER : FILE_FLAGS__FD_LOWER_LAYER;
    return facts;
}

static __always_inline u64 inode__ctime(u64 inode) {
    if (bpf_core_field_exists(((struct inode *)0)->i_ctime_sec))
        return READ(struct inode, inode, i_ctime_sec) * 1000000000ull +
               (READ(struct inode, inode, i_ctime_nsec) & ~CTIME_QUERIED);
    if (bpf_core_field_exists(((struct inode___before_6_11 *)0)->__i_ctime))
        return READ(struct inode___before_6_11, inode, __i_ctime.tv_sec) * 1000000000ull +
               READ(struct inode___before_6_11, inode, __i_ctime.tv_nsec);
    return READ(struct inode___before_6_6, inode, i_ctime.tv_sec) * 1000000000ull +
           READ(struct inode___before_6_6, inode, i_ctime.tv_nsec);
}

static __always_inline u64 inode__mtime(u64 inode) {
    if (bpf_core_field_exists(((struct inode *)0)->i_mtime_sec))
        return READ(struct inode, inode, i_mtime_sec) * 1000000000ull + READ(struct inode, inode, i_mtime_nsec);
    if (bpf_core_field_exists(((struct inode___before_6_11 *)0)->__i_mtime))
        return READ(struct inode___before_6_11, inode, __i_mtime.tv_sec) * 1000000000ull +
               READ(struct inode___before_6_11, inode, __i_mtime.tv_nsec);
    return READ(struct inode___before_6_6, inode, i_mtime.tv_sec) * 1000000000ull +
           READ(struct inode___before_6_6, inode, i_mtime.tv_nsec);
}

// ---- processes ----

struct credentials {
    u64 inheritable, permitted, effective;
    u32 euid, egid, fsuid, fsgid;
};

static __always_inline struct credentials task__credentials(struct task_struct *task) {
    const struct cred *cred = task->cred;
    struct credentials out = {
        .euid = cred->euid.val, .egid = cred->egid.val, .fsuid = cred->fsuid.val, .fsgid = cred->fsgid.val};
    if (bpf_core_field_exists(((kernel_cap_t *)0)->val)) {
        out.inheritable = cred->cap_inheritable.val;
        out.permitted = cred->cap_permitted.val;
        out.effective = cred->cap_effective.val;
    } else {
        const struct cred___before_6_3 *old = (const void *)cred;
        out.inheritable = old->cap_inheritable.cap[0] | (u64)old->cap_inheritable.cap[1] << 32;
        out.permitted = old->cap_permitted.cap[0] | (u64)old->cap_permitted.cap[1] << 32;
        out.effective = old->cap_effective.cap[0] | (u64)old->cap_effective.cap[1] << 32;
    }
    return out;
}

// Address of the id that a `struct pid` has in the namespace of this level. Masked, as old verifiers add only bounded
// numbers to a typed pointer; the kernel has 32 levels of 16 bytes at most.
static __always_inline u64 pid__upid(u64 pid, u32 level) {
    u64 offset = level * (u64)bpf_core_type_size(struct upid);
    OPAQUE(offset);
    return pid + bpf_core_field_offset(struct pid, numbers) + (offset & 1023);
}

// Id in the innermost pid namespace of a `struct pid`; `outer` asks for the one in the first namespace.
static __always_inline s64 pid__nr(u64 pid, bool outer) {
    if (!pid)
        return 0;
    return READ(struct upid, pid__upid(pid, outer ? 0 : READ(struct pid, pid, level)), nr);
}

static __always_inline u64 pid__namespace(u64 pid) {
    return (u64)READ(struct upid, pid__upid(pid, READ(struct pid, pid, level)), ns);
}

static __always_inline u64 task__init_start(struct task_struct *task) {
    u64 reaper = (u64)READ(struct pid_namespace, pid__namespace((u64)task->thread_pid), child_reaper);
    return READ(struct task_struct, reaper, start_boottime);
}

// A child whose ids differ from those its parent sees: in a pid namespace, or about to enter one.
static __always_inline bool task__child_in_pidns(struct task_struct *task) {
    u64 ns = pid__namespace((u64)task->thread_pid);
    if (READ(struct pid_namespace, ns, level))
        return true;
    struct nsproxy *proxy = task->nsproxy;
    return proxy && (u64)proxy->pid_ns_for_children != ns;
}

static __always_inline u32 task__tty(struct task_struct *task) {
    struct tty_struct *tty = task->signal->tty;
    if (!tty)
        return 0;
    struct tty_driver *driver = tty->driver;
    return dev__encode(((u32)driver->major << 20) + driver->minor_start + tty->index);
}

// Pages in memory of one kind (0 files, 1 anonymous, 2 swapped out, 3 shared), as far as the per-CPU counters are
// summed.
#define RSS(mm, kind)                                                                                                  \
    ({                                                                                                                 \
        s64 __pages;                                                                                                   \
        if (bpf_core_type_exists(struct mm_rss_stat))                                                                  \
            __pages = READ(struct mm_struct___before_6_2, mm, rss_stat.count[kind].counter);                           \
        else                                                                                                           \
            __pages = (mm)->rss_stat[kind].count;                                                                      \
        __pages > 0 ? (u32)__pages *PAGE_KIB : 0;                                                                      \
    })

struct memory {
    u32 size, resident, swapped;
};

static __always_inline struct memory task__memory(struct task_struct *task) {
    struct mm_struct *mm = task->mm;
    struct memory out = {};
    if (!mm)
        return out;
    out.size = mm->total_vm * PAGE_KIB;
    out.resident = RSS(mm, 0) + RSS(mm, 1) + RSS(mm, 3);
    out.swapped = RSS(mm, 2);
    return out;
}

// Whether the process may write its own program: by mode bits or CAP_DAC_OVERRIDE, unless nobody may.
static __always_inline bool exe__writable(u64 inode, u64 vfsmount, const struct credentials *cred) {
    u64 sb = (u64)READ(struct inode, inode, i_sb);
    if (READ(struct super_block, sb, s_flags) & SB_RDONLY || READ(struct vfsmount, vfsmount, mnt_flags) & MNT_READONLY)
        return false;
    if (READ(struct inode, inode, i_flags) & S_IMMUTABLE)
        return false;
    u32 mode = READ(struct inode, inode, i_mode);
    if (READ(struct inode, inode, i_uid.val) == cred->fsuid)
        mode >>= 6;
    else if (READ(struct inode, inode, i_gid.val) == cred->fsgid)
        mode >>= 3;
    return mode & 2 || cred->effective >> CAP_DAC_OVERRIDE & 1;
}
