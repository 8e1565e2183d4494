// Flags and commands of single system calls: the kernel's numbers to those of captures, where they differ.

#pragma once

#include "extract.h"

// Descriptors that know O_NONBLOCK, O_CLOEXEC and O_DIRECT only.
static __always_inline u32 flags__fd(u64 flags) {
    return FLAG(flags, 04000, FILE_FLAGS__O_NONBLOCK) | FLAG(flags, 02000000, FILE_FLAGS__O_CLOEXEC) |
           FLAG(flags, 040000, FILE_FLAGS__O_DIRECT);
}

static __always_inline u32 flags__resolve(u64 flags) {
    return FLAG(flags, 1, OPENAT2_FLAGS__RESOLVE_NO_XDEV) | FLAG(flags, 2, OPENAT2_FLAGS__RESOLVE_NO_MAGICLINKS) |
           FLAG(flags, 4, OPENAT2_FLAGS__RESOLVE_NO_SYMLINKS) | FLAG(flags, 8, OPENAT2_FLAGS__RESOLVE_BENEATH) |
           FLAG(flags, 16, OPENAT2_FLAGS__RESOLVE_IN_ROOT) | FLAG(flags, 32, OPENAT2_FLAGS__RESOLVE_CACHED);
}

static __always_inline u32 flags__chown(u64 flags) {
    return FLAG(flags, 0x100, FCHOWNAT_FLAGS__AT_SYMLINK_NOFOLLOW) | FLAG(flags, 0x1000, FCHOWNAT_FLAGS__AT_EMPTY_PATH);
}

static __always_inline u32 flags__prot(u64 flags) {
    return (flags & 15) | FLAG(flags, 0x01000000, PROT_FLAGS__PROT_GROWSDOWN) |
           FLAG(flags, 0x02000000, PROT_FLAGS__PROT_GROWSUP);
}

static __always_inline u32 flags__mmap(u64 flags) {
    return (flags & 3) | FLAG(flags, 0x10, MMAP_FLAGS__MAP_FIXED) | FLAG(flags, 0x20, MMAP_FLAGS__MAP_ANONYMOUS) |
           FLAG(flags, 0x40, MMAP_FLAGS__MAP_32BIT) | FLAG(flags, 0x100, MMAP_FLAGS__MAP_GROWSDOWN) |
           FLAG(flags, 0x800, MMAP_FLAGS__MAP_DENYWRITE) | FLAG(flags, 0x1000, MMAP_FLAGS__MAP_EXECUTABLE) |
           FLAG(flags, 0x2000, MMAP_FLAGS__MAP_LOCKED) | FLAG(flags, 0x4000, MMAP_FLAGS__MAP_NORESERVE) |
           FLAG(flags, 0x8000, MMAP_FLAGS__MAP_POPULATE) | FLAG(flags, 0x10000, MMAP_FLAGS__MAP_NONBLOCK);
}

// Old callers put a magic number in the upper half.
static __always_inline u32 flags__mount(u64 flags) {
    return (flags & 0xffff0000) == 0xc0ed0000 ? flags & 0xffff : flags;
}

static __always_inline u32 flags__io_uring_setup(u64 flags) {
    return (flags & 3) | (flags & 0x7c) << 1;
}

static __always_inline u8 fcntl__command(u32 cmd) {
    switch (cmd) {
    case 0 ... 5:
        return cmd + 1;
    case 6 ... 7:
        return cmd + 2;
    case 8:
        return FCNTL_COMMANDS__F_SETOWN;
    case 9:
        return FCNTL_COMMANDS__F_GETOWN;
    case 10:
        return FCNTL_COMMANDS__F_SETSIG;
    case 11:
        return FCNTL_COMMANDS__F_GETSIG;
    case 15:
        return FCNTL_COMMANDS__F_SETOWN_EX;
    case 16:
        return FCNTL_COMMANDS__F_GETOWN_EX;
    case 36 ... 38:
        return cmd - 36 + FCNTL_COMMANDS__F_OFD_GETLK;
    case 1024:
        return FCNTL_COMMANDS__F_SETLEASE;
    case 1025:
        return FCNTL_COMMANDS__F_GETLEASE;
    case 1026:
        return FCNTL_COMMANDS__F_NOTIFY;
    case 1029:
        return FCNTL_COMMANDS__F_CANCELLK;
    case 1030:
        return FCNTL_COMMANDS__F_DUPFD_CLOEXEC;
    case 1031:
        return FCNTL_COMMANDS__F_SETPIPE_SZ;
    case 1032:
        return FCNTL_COMMANDS__F_GETPIPE_SZ;
    default:
        return FCNTL_COMMANDS__UNKNOWN;
    }
}

static __always_inline u16 ptrace__request(u64 request) {
    switch (request) {
    case 0 ... 9:
        return request + 1;
    case 12 ... 15:
        return request - 12 + PTRACE_REQUESTS__PTRACE_GETREGS;
    case 16 ... 17:
        return request - 16 + PTRACE_REQUESTS__PTRACE_ATTACH;
    case 18 ... 19:
        return request - 18 + PTRACE_REQUESTS__PTRACE_GETFPXREGS;
    case 21:
        return PTRACE_REQUESTS__PTRACE_OLDSETOPTIONS;
    case 24:
        return PTRACE_REQUESTS__PTRACE_SYSCALL;
    case 25 ... 26:
        return request - 25 + PTRACE_REQUESTS__PTRACE_GET_THREAD_AREA;
    case 30 ... 33:
        return request - 30 + PTRACE_REQUESTS__PTRACE_ARCH_PRCTL;
    case 0x4200 ... 0x420b:
        return request - 0x4200 + PTRACE_REQUESTS__PTRACE_SETOPTIONS;
    default:
        return PTRACE_REQUESTS__PTRACE_UNKNOWN;
    }
}

static __always_inline u8 sockopt__level(u32 level) {
    return level == 1 ? SOCKOPT_LEVELS__SOL_SOCKET : level == 6 ? SOCKOPT_LEVELS__SOL_TCP : SOCKOPT_LEVELS__UNKNOWN;
}

// Only those of SOL_SOCKET have names; their numbers are the kernel's up to SO_ATTACH_BPF.
static __always_inline u8 sockopt__name(u32 level, u32 name) {
    if (level != 1)
        return SOCKOPT_OPTIONS__UNKNOWN;
    switch (name) {
    case 55:
        return SOCKOPT_OPTIONS__SO_MEMINFO;
    case 57:
        return SOCKOPT_OPTIONS__SO_COOKIE;
    case 59:
        return SOCKOPT_OPTIONS__SO_PEERGROUPS;
    default:
        return name <= SOCKOPT_OPTIONS__SO_ATTACH_BPF ? name : SOCKOPT_OPTIONS__UNKNOWN;
    }
}

static __always_inline u8 rlimit__resource(u32 resource) {
    return resource <= 15 ? resource : RLIMIT_RESOURCES__RLIMIT_UNKNOWN;
}
