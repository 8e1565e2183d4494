#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(copy_file_range, struct pt_regs *regs, long ret) {
    u64 copied = ret > 0 ? ret : 0; // the kernel has moved the offsets on
    FIXED(f, COPY_FILE_RANGE);
    fixed__s64(&f, ret);
    fixed__s64(&f, (s32)regs->dx);
    fixed__u64(&f, regs->r10 ? READ_USER(u64, regs->r10) - copied : 0);
    fixed__s64(&f, (s32)regs->di);
    fixed__u64(&f, regs->si ? READ_USER(u64, regs->si) - copied : 0);
    fixed__u64(&f, regs->r8);
    return fixed__submit(&f);
}
