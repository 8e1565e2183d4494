// Too much: which events are left out, decided before anything is spent on them. The order is that of
// schemas/shedding.toml: a class goes while no more is left, of the ring or of the budget, than is kept for those
// after it. Nothing here waits, and without a budget an event costs two comparisons.

#pragma once

#include "maps.h"

#define SECOND_NS 1000000000ull
#define CLASSES_ROOM 8

_Static_assert(CLASSES <= CLASSES_ROOM, "the index of a class is masked");

// What is to become of an event.
#define ADMIT 0u
#define ADMIT_BARE_RING 1u // without its payload, for the ring
#define ADMIT_BARE_BUDGET 2u
#define ADMIT_NOT 3u

static const volatile u8 class_keep[CLASSES_ROOM] = {CLASSES_KEEP};

// What is left of each budget, for all CPUs: filled by whoever comes first after a tick, up to what may pass in a
// second. CPUs pay for what they have delivered in portions, so it runs below zero by some of these at most; all of it
// is paid, so that what passes in the long run is the budget, wherever the load is.
struct pool {
    s64 level;
    u64 filled;
    u64 tick; // of that: the clock is asked once in each
};

volatile struct pool pools[LIMITS] SEC(".data.pools") = {};

static __always_inline void pool__fill(u32 which) {
    u64 tick = bpf_jiffies64();
    if (pools[which].tick == tick)
        return;
    pools[which].tick = tick;
    // Read before the clock, which then is not behind it.
    u64 filled = pools[which].filled, rate = switches.limits[which].per_second;
    u64 now = bpf_ktime_get_boot_ns(), passed = now - filled, add = rate;
    if ((s64)passed <= 0)
        return;
    if (passed < SECOND_NS) {
        add = passed * rate / SECOND_NS;
        if (!add)
            return;
        now = filled + add * SECOND_NS / rate; // what is too little for one more counts next time
    }
    if (__sync_val_compare_and_swap(&pools[which].filled, filled, now) != filled)
        return;
    s64 room = (s64)rate - pools[which].level;
    __sync_fetch_and_add(&pools[which].level, (s64)add < room ? (s64)add : room);
}

static __noinline u32 budget__verdict(u32 class) {
    class &= CLASSES_ROOM - 1;
    u32 verdict = ADMIT;
    if (switches.limits[LIMIT_EVENTS].per_second) {
        pool__fill(LIMIT_EVENTS);
        if (pools[LIMIT_EVENTS].level <= (s64)switches.limits[LIMIT_EVENTS].keep[class])
            return ADMIT_NOT;
    }
    if (switches.limits[LIMIT_BYTES].per_second) {
        pool__fill(LIMIT_BYTES);
        s64 level = pools[LIMIT_BYTES].level;
        if (level <= (s64)switches.limits[LIMIT_BYTES].keep[class])
            return ADMIT_NOT;
        if (class == CLASS_READ_WRITE && level <= (s64)switches.limits[LIMIT_BYTES].keep[CLASS_PAYLOAD])
            verdict = ADMIT_BARE_BUDGET;
    }
    return verdict;
}

static __noinline int budget__pay(struct per_cpu *own, u64 bytes) {
    struct limit *events = (struct limit *)&switches.limits[LIMIT_EVENTS];
    own->owed[LIMIT_EVENTS]++;
    if (own->owed[LIMIT_EVENTS] >= events->portion) {
        __sync_fetch_and_add(&pools[LIMIT_EVENTS].level, -(s64)own->owed[LIMIT_EVENTS]);
        own->owed[LIMIT_EVENTS] = 0;
    }
    own->owed[LIMIT_BYTES] += bytes;
    if (own->owed[LIMIT_BYTES] >= switches.limits[LIMIT_BYTES].portion) {
        __sync_fetch_and_add(&pools[LIMIT_BYTES].level, -(s64)own->owed[LIMIT_BYTES]);
        own->owed[LIMIT_BYTES] = 0;
    }
    return 0;
}

// Looks at the ring, and notes how much can be written before it is to be looked at again.
static __noinline u32 ring__verdict(struct per_cpu *own, u32 cpu, u32 class) {
    void *ring = bpf_map_lookup_elem(&rings_map, &cpu);
    if (!ring)
        return ADMIT;
    u64 size = bpf_ringbuf_query(ring, BPF_RB_RING_SIZE), used = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
    u64 left = used < size ? size - used : 0, part = size / 16;
    own->spare = 0;
    if (left > part * class_keep[CLASS_PAYLOAD]) {
        own->spare = left - part * class_keep[CLASS_PAYLOAD];
        return ADMIT;
    }
    if (class == CLASS_EXECUTION) // to the last byte
        return ADMIT;
    if (left <= part * class_keep[class & (CLASSES_ROOM - 1)])
        return ADMIT_NOT;
    return class == CLASS_READ_WRITE ? ADMIT_BARE_RING : ADMIT;
}

// Counts what is shed, but for payloads.
static __always_inline u32 counters__admit(struct counters *counters, u32 cpu, const u32 class) {
    struct per_cpu *own = (struct per_cpu *)counters;
    u32 verdict = ADMIT;
    if (switches.limited) {
        verdict = budget__verdict(class);
        if (verdict == ADMIT_NOT) {
            counters->budget[class]++;
            return ADMIT_NOT;
        }
    }
    if (!own->spare) {
        u32 full = ring__verdict(own, cpu, class);
        if (full == ADMIT_NOT) {
            counters->ring_full[class]++;
            return ADMIT_NOT;
        }
        if (!verdict)
            verdict = full;
    }
    return verdict;
}

// So many bytes are in the ring.
static __always_inline void counters__spend(struct counters *counters, u32 bytes) {
    struct per_cpu *own = (struct per_cpu *)counters;
    bytes += BPF_RINGBUF_HDR_SZ;
    own->spare = own->spare > bytes ? own->spare - bytes : 0;
    if (switches.limited)
        budget__pay(own, bytes);
}
