#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(munmap, struct pt_regs *regs, long ret) {
    struct memory memory = task__memory(bpf_get_current_task_btf());
    FIXED(f, MUNMAP);
    fixed__s64(&f, ret);
    fixed__u32(&f, memory.size);
    fixed__u32(&f, memory.resident);
    fixed__u32(&f, memory.swapped);
    fixed__u64(&f, regs->di);
    fixed__u64(&f, regs->si);
    return fixed__submit(&f);
}
