// Kernel path: the end of every system call (trace_sys_exit in syscall_exit_work). At the exit, because the result is
// known there, the arguments still lie in pt_regs, and user memory has been touched and is present.

#include "lib/store.h"

static __always_inline bool caller__excluded(u32 nr) {
    if (!(targ_data_path[nr / 64 & 7] >> (nr & 63) & 1) || !switches.excluded[0])
        return false;
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
#pragma unroll
    for (u32 i = 0; i < EXCLUDED_MAX; i++)
        if (switches.excluded[i] == tgid)
            return true;
    return false;
}

static __noinline int counters__excluded(void) {
    u32 zero = 0;
    struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);
    if (counters)
        counters->excluded++;
    return 0;
}

static __noinline int counters__compat(void) {
    u32 zero = 0;
    struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);
    if (counters)
        counters->compat++;
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(dispatch, struct pt_regs *regs, long ret) {
    u32 nr = regs->orig_ax;
    if (!syscall__wanted(nr))
        return 0;
    // 32-bit programs number their calls differently: counted, not traced.
    struct task_struct *task = bpf_get_current_task_btf();
    if (task->thread_info.status & TS_COMPAT)
        return counters__compat();
    if (caller__excluded(nr))
        return counters__excluded();
    bpf_tail_call(ctx, &programs_map, nr);
    // No program of its own.
    FIXED(f, SYSCALL);
    fixed__u16(&f, targ_capture_id[nr & (SYSCALLS_MAX - 1)]);
    fixed__u16(&f, nr);
    return fixed__submit(&f);
}
