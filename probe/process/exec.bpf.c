// Kernel path: exec_binprm, once the new program is in place and nothing can fail. Here and not at the call's exit,
// because execs that the kernel itself makes (modprobe, core dump handlers) have no exit.

#include "../lib/process.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm) {
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
    bool at = regs->orig_ax == SYSCALL_EXECVEAT;
    if (!syscall__wanted(at ? SYSCALL_EXECVEAT : SYSCALL_EXECVE))
        return 0;
    struct record r;
    u16 code = at ? EVENT_EXECVEAT : EVENT_EXECVE;
    u16 nparams = at ? EVENT_EXECVEAT_PARAMS : EVENT_EXECVE_PARAMS;
    if (!record__open(&r, code, nparams))
        return 0;
    record__exec(&r, task);
    // The kernel keeps the name as given behind the last variable of the environment.
    if (!at)
        record__user_str(&r, task->mm ? task->mm->env_end : 0);
    return record__submit(&r);
}
