// Reading memory: the kernel's by typed loads, the user's by the user-memory helpers. Nothing here knows an event.

#pragma once

#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// What the running kernel offers; set before loading (core.py), so the verifier drops the branch not taken.
const volatile bool targ_cast = true;          // bpf_rdonly_cast to a struct (6.2)
const volatile bool targ_raw = true;           // bpf_rdonly_cast to raw bytes
const volatile bool targ_probe_kernel = false; // bpf_probe_read_kernel, where lockdown allows it

extern void *bpf_rdonly_cast(const void *obj, u32 btf_id) __ksym __weak;

// A pointer of unknown type as a typed one. Only loads through it are allowed; a bad address reads as zero.
#define CAST(type, address) ((type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(type)))

// Member `field` of the `type` at `address`, an address that the verifier has no type for.
#define READ(type, address, field)                                                                                     \
    ({                                                                                                                 \
        typeof(((type *)0)->field) __value = 0;                                                                        \
        u64 __address = (u64)(address);                                                                                \
        if (targ_cast)                                                                                                 \
            __value = CAST(type, __address)->field;                                                                    \
        else if (targ_probe_kernel)                                                                                    \
            bpf_core_read(&__value, sizeof(__value), &((type *)__address)->field);                                     \
        __value;                                                                                                       \
    })

// A member of a few bits.
#define READ_BITS(type, address, field)                                                                                \
    ({                                                                                                                 \
        u64 __bits = 0, __from = (u64)(address);                                                                       \
        if (targ_cast)                                                                                                 \
            __bits = CAST(type, __from)->field;                                                                        \
        else if (targ_probe_kernel)                                                                                    \
            __bits = BPF_CORE_READ_BITFIELD_PROBED((type *)__from, field);                                             \
        __bits;                                                                                                        \
    })

// Forget what the compiler knows of a value, so that the bound check or mask before it survives optimisation.
#define OPAQUE(value) asm volatile("" : "+r"(value))

// Stores a number at an address of any alignment in one instruction; the compiler would store it byte by byte.
#define STORE(type, at, number)                                                                                        \
    do {                                                                                                               \
        u64 __number = (u64)(number);                                                                                  \
        if (sizeof(type) == 8)                                                                                         \
            asm volatile("*(u64 *)(%0 + 0) = %1" : : "r"(at), "r"(__number) : "memory");                               \
        else if (sizeof(type) == 4)                                                                                    \
            asm volatile("*(u32 *)(%0 + 0) = %1" : : "r"(at), "r"(__number) : "memory");                               \
        else if (sizeof(type) == 2)                                                                                    \
            asm volatile("*(u16 *)(%0 + 0) = %1" : : "r"(at), "r"(__number) : "memory");                               \
        else                                                                                                           \
            asm volatile("*(u8 *)(%0 + 0) = %1" : : "r"(at), "r"(__number) : "memory");                                \
    } while (0)

// Eight bytes of kernel memory; zero where there are none.
static __always_inline u64 read__kernel_u64(u64 address) {
    u64 value = 0;
    if (targ_raw)
        value = *(const u64 *)bpf_rdonly_cast((const void *)address, 0);
    else if (targ_probe_kernel)
        bpf_probe_read_kernel(&value, sizeof(value), (const void *)address);
    return value;
}

// A pointer out of a table of pointers.
static __always_inline u64 read__pointer(u64 table, u32 index) {
    return (u64)READ(struct llist_node, table + 8ul * index, next);
}

// A value of user memory; zero where the page is away.
#define READ_USER(type, address)                                                                                       \
    ({                                                                                                                 \
        type __user = {0};                                                                                             \
        bpf_probe_read_user(&__user, sizeof(__user), (const void *)(address));                                         \
        __user;                                                                                                        \
    })

// A string of user memory with its NUL, at most `size` bytes: how many, negative where the page is away. Old kernels
// count none, and write none, for an empty string.
static __always_inline long read__user_str(u8 *to, const u32 size, u64 address) {
    long len = bpf_probe_read_user_str(to, size, (const void *)address);
    if (len)
        return len;
    to[0] = 0;
    return 1;
}
