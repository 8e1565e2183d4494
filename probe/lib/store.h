// Building records and handing them to the collector. Two ways: an event of fixed size is reserved in the ring and
// written in place; one of variable size is put together in this CPU's scratch memory and copied into the ring.

#pragma once

#include "extract.h"
#include "marks.h"
#include "shed.h"

// Before every event in the ring; then u16 lengths[nparams], then the parameters back to back.
struct record_header {
    u64 ts;
    u64 tid;
    u32 len;
    u16 code;
    u16 nparams;
    u32 cpu;
    u32 asks; // ASKS_* of marks.h
};

_Static_assert(sizeof(struct record_header) == 32, "the engine's ring.rs reads this layout");
_Static_assert(__builtin_offsetof(struct record_header, len) == 16, "");
_Static_assert(__builtin_offsetof(struct record_header, code) == 20, "");
_Static_assert(__builtin_offsetof(struct record_header, nparams) == 22, "");
_Static_assert(__builtin_offsetof(struct record_header, cpu) == 24, "");
_Static_assert(__builtin_offsetof(struct record_header, asks) == 28, "");

#define STRING_MAX 4096
#define POSITION_MASK 0x7fff

// Counts the event as produced, before anything can go wrong with it.
static __always_inline struct counters *counters__produce(void) {
    u32 zero = 0;
    struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);
    if (counters)
        counters->produced++;
    return counters;
}

static __always_inline void header__write(struct record_header *header, u32 tid, u32 cpu, u32 len, u16 code,
                                          u16 nparams, u32 asks) {
    header->ts = bpf_ktime_get_boot_ns();
    header->tid = tid;
    header->len = len;
    header->code = code;
    header->nparams = nparams;
    header->cpu = cpu;
    header->asks = asks;
}

// ---- events of fixed size ----

struct fixed {
    u8 *at;
    u32 n;
    u32 pos;
};

static __always_inline bool fixed__reserve(struct fixed *f, const u16 code, const u16 nparams, const u32 bytes,
                                           const bool changes, const u32 class) {
    const u32 len = sizeof(struct record_header) + 2 * nparams + bytes;
    struct counters *counters = counters__produce();
    u32 cpu = bpf_get_smp_processor_id();
    if (!counters)
        return false;
    if (counters__admit(counters, cpu, class) == ADMIT_NOT)
        goto lost;
    void *ring = bpf_map_lookup_elem(&rings_map, &cpu);
    if (!ring) {
        counters->no_ring++;
        goto lost;
    }
    f->at = bpf_ringbuf_reserve(ring, len, 0);
    if (!f->at) {
        counters->ring_full[class]++;
        goto lost;
    }
    counters__spend(counters, len);
    // Who exits is not worth a description.
    u64 task = bpf_get_current_pid_tgid();
    u32 asks = code == EVENT_PROCEXIT ? 0 : marks__question(counters, task);
    header__write((struct record_header *)f->at, task, cpu, len, code, nparams, asks);
    if (asks)
        marks__answer(asks);
    f->n = 0;
    f->pos = sizeof(struct record_header) + 2 * nparams;
    return true;
lost:
    if (changes)
        marks__lose();
    return false;
}

#define FIXED_PUT(type, name)                                                                                          \
    static __always_inline void fixed__##name(struct fixed *f, type value) {                                           \
        *(u16 *)(f->at + sizeof(struct record_header) + 2 * f->n++) = sizeof(value);                                   \
        *(type *)(f->at + f->pos) = value;                                                                             \
        f->pos += sizeof(value);                                                                                       \
    }
FIXED_PUT(u8, u8)
FIXED_PUT(u16, u16)
FIXED_PUT(u32, u32)
FIXED_PUT(s32, s32)
FIXED_PUT(u64, u64)
FIXED_PUT(s64, s64)

// Submitted without a wake-up: the collector polls.
static __always_inline int fixed__submit(struct fixed *f) {
    bpf_ringbuf_submit(f->at, BPF_RB_NO_WAKEUP);
    return 0;
}

// Opens the record of a fixed-size event `f` (leaves the program if it cannot), sizes from the table.
#define FIXED(f, NAME)                                                                                                 \
    struct fixed f;                                                                                                    \
    if (!fixed__reserve(&f, EVENT_##NAME, EVENT_##NAME##_PARAMS, EVENT_##NAME##_BYTES, EVENT_##NAME##_CHANGES,         \
                        EVENT_##NAME##_CLASS))                                                                         \
    return 0

// ---- events of variable size ----

struct record {
    struct scratch *s;
    struct counters *counters;
    u32 n;
    u32 pos;
    u32 cpu;
    u16 code;
    u16 nparams;
    u8 class;
    u8 admitted;  // without its payload: ADMIT_BARE_*
    bool changes; // what the process is or has open
    bool child;   // a clone's report by its child
};

static __always_inline bool record__open(struct record *r, const u16 code, const u16 nparams, const bool changes,
                                         const u32 class) {
    r->counters = counters__produce();
    if (!r->counters)
        return false;
    u32 cpu = bpf_get_smp_processor_id(); // a variable of its own: a pointer into *r would keep all of it in memory
    u32 admitted = counters__admit(r->counters, cpu, class);
    if (admitted == ADMIT_NOT)
        goto lost;
    r->s = bpf_map_lookup_elem(&scratch_map, &cpu);
    if (!r->s) {
        r->counters->no_scratch++;
        goto lost;
    }
    r->class = class;
    r->admitted = admitted;
    r->changes = changes;
    r->child = false;
    r->n = 0;
    r->cpu = cpu;
    r->pos = sizeof(struct record_header) + 2 * nparams;
    r->code = code;
    r->nparams = nparams;
    return true;
lost:
    if (changes)
        marks__lose();
    if (class == CLASS_EXECUTION) // perhaps a child's report of its clone
        marks__lose_child();
    return false;
}

#define RECORD(r, NAME)                                                                                                \
    struct record r;                                                                                                   \
    if (!record__open(&r, EVENT_##NAME, EVENT_##NAME##_PARAMS, EVENT_##NAME##_CHANGES, EVENT_##NAME##_CLASS))          \
    return 0

static __always_inline u8 *record__here(struct record *r) {
    u32 pos = r->pos & POSITION_MASK;
    OPAQUE(pos);
    pos &= POSITION_MASK;
    return &r->s->data[pos];
}

// The next parameter has `len` bytes, which are already in place.
static __always_inline void record__push(struct record *r, u32 len) {
    *(u16 *)&r->s->data[sizeof(struct record_header) + 2 * r->n++] = len;
    r->pos += len;
}

#define RECORD_PUT(type, name)                                                                                         \
    static __always_inline void record__##name(struct record *r, type value) {                                         \
        *(type *)record__here(r) = value;                                                                              \
        record__push(r, sizeof(value));                                                                                \
    }
RECORD_PUT(u8, u8)
RECORD_PUT(u16, u16)
RECORD_PUT(u32, u32)
RECORD_PUT(s32, s32)
RECORD_PUT(u64, u64)
RECORD_PUT(s64, s64)

// A parameter without value.
static __always_inline void record__none(struct record *r) {
    record__push(r, 0);
}

// A string of user memory with its NUL; without value where the pointer is NULL or the page is away.
static __always_inline void record__user_str(struct record *r, u64 address) {
    long len = 0;
    if (address) {
        len = read__user_str(record__here(r), STRING_MAX, address);
        if (len < 0) {
            r->counters->page_fault++;
            len = 0;
        }
    }
    record__push(r, len);
}

// `len` bytes of user memory, at most `max` (a constant below 4096) of them.
static __always_inline void record__user_bytes(struct record *r, u64 address, s64 len, const u32 max) {
    u32 size = len < 0 ? 0 : len > max ? max : len;
    OPAQUE(size);
    size &= STRING_MAX - 1;
    if (size && bpf_probe_read_user(record__here(r), size, (const void *)address)) {
        r->counters->page_fault++;
        size = 0;
    }
    record__push(r, size);
}

// Whether the data of a read or write, if it has any, is to be left out; counts it.
static __always_inline bool record__sheds_payload(struct record *r, s64 len) {
    if (!r->admitted || len <= 0)
        return false;
    if (r->admitted == ADMIT_BARE_BUDGET)
        r->counters->budget[CLASS_PAYLOAD]++;
    else
        r->counters->ring_full[CLASS_PAYLOAD]++;
    return true;
}

// The data of a read or write.
static __always_inline void record__payload(struct record *r, u64 address, s64 len, const u32 max) {
    if (record__sheds_payload(r, len))
        record__none(r);
    else
        record__user_bytes(r, address, len, max);
}

static __always_inline int record__submit(struct record *r) {
    u32 len = r->pos & POSITION_MASK;
    OPAQUE(len);
    len &= POSITION_MASK;
    u32 cpu = r->cpu;
    u64 task = bpf_get_current_pid_tgid();
    u32 asks = r->child ? marks__question_of_child(task) : marks__question(r->counters, task);
    header__write((struct record_header *)r->s->data, task, cpu, len, r->code, r->nparams, asks);
    void *ring = bpf_map_lookup_elem(&rings_map, &cpu);
    if (!ring) {
        r->counters->no_ring++;
    } else if (bpf_ringbuf_output(ring, r->s->data, len, BPF_RB_NO_WAKEUP)) {
        r->counters->ring_full[r->class]++;
    } else {
        counters__spend(r->counters, len);
        if (asks || r->child)
            marks__answer(asks);
        return 0;
    }
    if (r->changes)
        marks__lose();
    else if (r->child)
        marks__lose_child();
    return 0;
}
