#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(clone3, struct pt_regs *regs, long ret) {
    RECORD(r, CLONE3);
    return record__clone(&r, ret, READ_USER(u64, regs->di));
}
