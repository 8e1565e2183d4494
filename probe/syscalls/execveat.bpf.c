// The failed ones; process/exec.bpf.c tells of the others.

#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(execveat, struct pt_regs *regs, long ret) {
    if (!ret)
        return 0;
    RECORD(r, EXECVEAT);
    record__failed_exec(&r, ret, regs->dx, regs->r10);
    return record__submit(&r);
}
