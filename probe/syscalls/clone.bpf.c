#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(clone, struct pt_regs *regs, long ret) {
    RECORD(r, CLONE);
    return record__clone(&r, ret, (u32)regs->di);
}
