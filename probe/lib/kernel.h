// The kernel's structures, reduced to the members that the probe reads. Offsets are not these: libbpf relocates every
// access to the running kernel's own layout (CO-RE), so the order here carries no meaning.

#pragma once

#include <linux/bpf.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
    struct list_head *next, *prev;
};

// Stands for "memory that begins with a pointer": an element of a table of pointers is read through it.
struct llist_node {
    struct llist_node *next;
};

struct pt_regs {
    unsigned long di, si, dx, r10, r8, r9, orig_ax, ax;
};

typedef struct {
    u32 val;
} kuid_t;

typedef struct {
    u32 val;
} kgid_t;

typedef struct {
    u64 val;
} kernel_cap_t;

// Kernels before 6.3.
struct kernel_cap_struct {
    u32 cap[2];
};

struct cred {
    kuid_t uid, suid, euid, fsuid;
    kgid_t gid, sgid, egid, fsgid;
    kernel_cap_t cap_inheritable, cap_permitted, cap_effective;
};

struct cred___before_6_3 {
    struct kernel_cap_struct cap_inheritable, cap_permitted, cap_effective;
};

struct timespec64 {
    s64 tv_sec;
    long tv_nsec;
};

struct super_block {
    u32 s_dev;
    unsigned long s_flags, s_magic;
};

struct inode {
    u16 i_mode;
    u32 i_flags;
    kuid_t i_uid;
    kgid_t i_gid;
    struct super_block *i_sb;
    unsigned long i_ino;
    s64 i_mtime_sec, i_ctime_sec;
    u32 i_mtime_nsec, i_ctime_nsec;
};

// Kernels before 6.11, and before 6.6.
struct inode___before_6_11 {
    struct timespec64 __i_mtime, __i_ctime;
};

struct inode___before_6_6 {
    struct timespec64 i_mtime, i_ctime;
};

struct qstr {
    u32 len;
    const unsigned char *name;
};

struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
};

struct vfsmount {
    struct dentry *mnt_root;
    int mnt_flags;
};

struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};

struct file_operations;

struct file {
    u32 f_mode;
    u32 f_flags;
    const struct file_operations *f_op;
    void *private_data;
    struct inode *f_inode;
    struct path f_path;
};

struct fdtable {
    u32 max_fds;
    struct file **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct fs_struct {
    struct path root, pwd;
};

struct percpu_counter {
    s64 count;
};

struct mm_struct {
    unsigned long total_vm, arg_start, arg_end, env_start, env_end;
    struct percpu_counter rss_stat[4];
    struct file *exe_file;
};

typedef struct {
    s64 counter;
} atomic_long_t;

// Kernels before 6.2.
struct mm_rss_stat {
    atomic_long_t count[4];
};

struct mm_struct___before_6_2 {
    struct mm_rss_stat rss_stat;
};

struct task_struct;

struct pid_namespace {
    struct task_struct *child_reaper;
    u32 level;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct pid {
    u32 level;
    struct upid numbers[1];
};

struct tty_driver {
    int major, minor_start;
};

struct tty_struct {
    int index;
    struct tty_driver *driver;
};

struct rlimit {
    u64 rlim_cur, rlim_max;
};

struct signal_struct {
    struct list_head thread_head;
    u32 is_child_subreaper : 1;
    u32 has_child_subreaper : 1;
    struct pid *pids[4];
    struct tty_struct *tty;
    struct rlimit rlim[16];
};

struct nsproxy {
    struct pid_namespace *pid_ns_for_children;
};

struct kernfs_node {
    struct kernfs_node *__parent;
    const char *name;
};

struct kernfs_node___before_6_15 {
    struct kernfs_node *parent;
};

struct cgroup {
    struct kernfs_node *kn;
};

struct cgroup_subsys_state {
    struct cgroup *cgroup;
};

struct css_set {
    struct cgroup_subsys_state *subsys[16];
};

enum cgroup_subsys_id {
    cpuset_cgrp_id,
    cpu_cgrp_id,
    cpuacct_cgrp_id,
    io_cgrp_id,
    memory_cgrp_id,
    CGROUP_SUBSYS_COUNT = 12,
};

struct thread_info {
    u32 status;
};

struct task_struct {
    struct thread_info thread_info;
    u32 flags;
    int exit_code, exit_state;
    int pid, tgid;
    struct task_struct *real_parent, *group_leader;
    struct list_head children, thread_node;
    struct mm_struct *mm;
    struct fs_struct *fs;
    struct files_struct *files;
    struct nsproxy *nsproxy;
    struct signal_struct *signal;
    const struct cred *cred;
    struct css_set *cgroups;
    struct pid *thread_pid;
    char comm[16];
    kuid_t loginuid;
    u64 start_boottime;
    unsigned long min_flt, maj_flt;
};

struct in6_addr_words {
    u32 words[4];
};

struct in6_addr {
    union {
        u32 u6_addr32[4];
    } in6_u;
};

struct sock_common {
    u32 skc_daddr, skc_rcv_saddr;
    u16 skc_dport, skc_num, skc_family;
    u8 skc_state;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};

struct socket;

struct sock {
    struct sock_common __sk_common;
    u16 sk_type, sk_protocol;
    u32 sk_ack_backlog, sk_max_ack_backlog;
    struct socket *sk_socket;
};

struct inet_sock {
    struct sock sk;
    u32 inet_saddr;
    u16 inet_sport;
};

struct proto_ops;

struct socket {
    s16 type;
    struct sock *sk;
};

struct sockaddr_un {
    u16 sun_family;
    char sun_path[108];
};

struct unix_address {
    int len;
    struct sockaddr_un name[1];
};

struct unix_sock {
    struct sock sk;
    struct unix_address *addr;
    struct path path;
    struct sock *peer;
};

struct pipe_inode_info;

#pragma clang attribute pop

// Plain numbers of the kernel's interfaces that are in no type information.
#define MAX_ERRNO 4095
#define TS_COMPAT 2
#define PF_KTHREAD 0x00200000
#define PF_EXITING 0x00000004
#define PAGE_KIB 4
#define OVERLAYFS_MAGIC 0x794c7630
#define SB_RDONLY 1
#define MNT_READONLY 0x40
#define S_IMMUTABLE 8
#define FMODE_CREATED 0x100000
#define CAP_DAC_OVERRIDE 1
#define RLIMIT_NOFILE 7
#define PIDTYPE_PID 0
#define PIDTYPE_TGID 1
#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
// Marks an inode whose change time was looked at since it changed (6.13).
#define CTIME_QUERIED 0x80000000u
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define EINPROGRESS 115
#define PR_SET_NAME 15
#define PR_GET_CHILD_SUBREAPER 37

// What callers lay out in their own memory: fixed for ever, so not relocated.

struct open_how {
    u64 flags, mode, resolve;
};

struct descriptors {
    s32 first, second;
};

struct rlimit_pair {
    s64 cur, max;
};

struct user_time {
    s64 seconds, nanoseconds;
};

// The beginning of struct io_uring_params.
struct io_uring_head {
    u32 sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features;
};
