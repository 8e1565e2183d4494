#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(clone3, struct pt_regs *regs, long ret) {
    u64 flags = 0;
    u64 *kept = ret || !targ_marks ? NULL : bpf_task_storage_get(&clone_flags_map, bpf_get_current_task_btf(), NULL, 0);
    if (kept)
        flags = *kept;
    else
        flags = READ_USER(u64, regs->di);
    RECORD(r, CLONE3);
    return record__clone(&r, ret, flags);
}
