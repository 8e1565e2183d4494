#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(mmap, struct pt_regs *regs, long ret) {
    struct memory memory = task__memory(bpf_get_current_task_btf());
    FIXED(f, MMAP);
    fixed__s64(&f, ret);
    fixed__u32(&f, memory.size);
    fixed__u32(&f, memory.resident);
    fixed__u32(&f, memory.swapped);
    fixed__u64(&f, regs->di);
    fixed__u64(&f, regs->si);
    fixed__u32(&f, flags__prot(regs->dx));
    fixed__u32(&f, flags__mmap(regs->r10));
    fixed__s64(&f, (s32)regs->r8);
    fixed__u64(&f, regs->r9);
    return fixed__submit(&f);
}
