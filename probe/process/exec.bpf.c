// Kernel path: exec_binprm, once the new program is in place and nothing can fail. Here and not at the call's exit,
// because execs that the kernel itself makes (modprobe, core dump handlers) have no exit. A successful execveat is an
// execve event, as in captures: by now the kernel has put execve's number into the registers.

#include "../lib/process.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec, struct task_struct *task) {
    if (!syscall__wanted(SYSCALL_EXECVE) && !syscall__wanted(SYSCALL_EXECVEAT))
        return marks__lose();
    RECORD(r, EXECVE);
    record__exec(&r, task);
    // The kernel keeps the name as given behind the last variable of the environment.
    record__user_str(&r, task->mm ? task->mm->env_end : 0);
    return record__submit(&r);
}
