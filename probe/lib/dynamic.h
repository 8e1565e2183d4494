// Parameters whose type depends on another one: a byte with the row of the event table's list of types, then the value.

#pragma once

#include "flags.h"
#include "store.h"

#define OPTION_MAX 80

#define RECORD_DYN(type, name)                                                                                         \
    static __always_inline void record__dyn_##name(struct record *r, u8 row, type value) {                             \
        *record__here(r) = row;                                                                                        \
        r->pos++;                                                                                                      \
        *(type *)record__here(r) = value;                                                                              \
        r->pos--;                                                                                                      \
        record__push(r, 1 + sizeof(value));                                                                            \
    }
RECORD_DYN(u8, u8)
RECORD_DYN(u32, u32)
RECORD_DYN(u64, u64)
RECORD_DYN(s64, s64)

// Rows of sockopt_dynamic_param.
#define SOCKOPT_BYTES 0
#define SOCKOPT_ERRNO 1
#define SOCKOPT_U32 2
#define SOCKOPT_U64 3
#define SOCKOPT_TIME 4

// The value of a socket option: by name for those of SOL_SOCKET, else as bytes.
static __always_inline void record__sockopt(struct record *r, u32 level, u32 number, u64 address, u32 len) {
    u8 name = sockopt__name(level, number);
    if (name == SOCKOPT_OPTIONS__SO_ERROR && len >= 4) {
        record__dyn_s64(r, SOCKOPT_ERRNO, -(s64)READ_USER(s32, address));
    } else if ((name == SOCKOPT_OPTIONS__SO_RCVTIMEO || name == SOCKOPT_OPTIONS__SO_SNDTIMEO) && len >= 16) {
        u64 seconds = READ_USER(u64, address), micros = READ_USER(u64, address + 8);
        record__dyn_u64(r, SOCKOPT_TIME, seconds * 1000000000ull + micros * 1000);
    } else if (name == SOCKOPT_OPTIONS__SO_COOKIE && len >= 8) {
        record__dyn_u64(r, SOCKOPT_U64, READ_USER(u64, address));
    } else if (level == 1 && len == 4) {
        record__dyn_u32(r, SOCKOPT_U32, READ_USER(u32, address));
    } else {
        *record__here(r) = SOCKOPT_BYTES;
        r->pos++;
        u32 size = len > OPTION_MAX ? OPTION_MAX : len;
        OPAQUE(size);
        size &= 127;
        if (size && bpf_probe_read_user(record__here(r), size, (const void *)address)) {
            r->counters->page_fault++;
            size = 0;
        }
        r->pos--;
        record__push(r, 1 + size);
    }
}
