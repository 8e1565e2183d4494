// The failed ones; process/exec.bpf.c tells of the others.

#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(execve, struct pt_regs *regs, long ret) {
    if (!ret)
        return 0;
    RECORD(r, EXECVE);
    record__failed_exec(&r, ret, regs->si, regs->dx);
    record__user_str(&r, regs->di);
    return record__submit(&r);
}
