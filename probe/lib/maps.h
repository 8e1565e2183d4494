// The maps shared by all programs, and what core.py writes into them.

#pragma once

#include "events.h"
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#define SYSCALLS_MAX 512
#define EXCLUDED_MAX 8
#define PARTS_MAX 64
#define SCRATCH_BYTES (32768 + 8192)

// One ring a CPU; core.py makes them in the size asked for.
struct ring {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, u32);
    __array(values, struct ring);
} rings_map SEC(".maps");

// produced = delivered + all of ring_full and budget but for CLASS_PAYLOAD + no_ring + no_scratch. Of CLASS_PAYLOAD
// they are events without their data. The rest tells of events that are not produced (excluded, compat) or that lack a
// parameter (page_fault).
struct counters {
    u64 produced;
    u64 ring_full[CLASSES];
    u64 budget[CLASSES];
    u64 no_ring;
    u64 no_scratch;
    u64 excluded;
    u64 compat;
    u64 page_fault;
};

// The task of this CPU's last event, if nothing is to be asked about it (marks.h).
struct known {
    u64 task; // group and thread
    u64 losses;
    u64 epoch;
};

#define LIMIT_EVENTS 0
#define LIMIT_BYTES 1
#define LIMITS 2

struct per_cpu {
    struct counters counters;
    struct known known;
    u64 spare;        // bytes of the ring that can be written before it is half full, as it was when looked at
    u64 owed[LIMITS]; // delivered, and not yet taken out of the pools (shed.h)
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct per_cpu);
} counters_map SEC(".maps");

// Where a CPU puts a record of variable size together. Programs on sys_exit and sched_* run without preemption and
// never inside each other, so one a CPU is enough. Records end below 32 KiB; the rest catches the longest last string.
struct scratch {
    // Where a walk up a chain of parents starts, and what it has found. In memory, so that the verifier sees unknown
    // numbers: it checks the walk once, not for every way of coming to it.
    u64 mount, node, root;
    u64 count;
    u64 parts[PARTS_MAX];
    u8 data[SCRATCH_BYTES];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct scratch);
} scratch_map SEC(".maps");

// Program of a system call, by number; the generic event where there is none.
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, SYSCALLS_MAX);
    __uint(key_size, sizeof(u32));
    __uint(value_size, sizeof(u32));
} programs_map SEC(".maps");

// Flags of the clone3 that made a task (process/announce.bpf.c).
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, u64);
} clone_flags_map SEC(".maps");

// A budget: what may pass in a second, 0 for any; what is kept of it for the classes after each; how much a CPU
// delivers before it pays.
struct limit {
    u64 per_second;
    u64 keep[8];
    u64 portion;
};

// What may change while the probe runs.
struct switches {
    u64 wanted[SYSCALLS_MAX / 64];
    u32 excluded[EXCLUDED_MAX];
    u32 wanted_procexit;
    u32 epoch;   // of marks.h
    u32 limited; // whether there is a budget
    struct limit limits[LIMITS];
};

volatile struct switches switches SEC(".data.switches") = {};

// System calls that the registered thread groups (the collector itself) make to deliver events.
const volatile u64 targ_data_path[SYSCALLS_MAX / 64] = {};
// Capture id (ppm_sc) of a system call.
const volatile u16 targ_capture_id[SYSCALLS_MAX] = {};

static __always_inline bool syscall__wanted(u32 nr) {
    return nr < SYSCALLS_MAX && switches.wanted[nr / 64 & 7] >> (nr & 63) & 1;
}
