// The probe: one object made of the dispatcher, the scheduler's hooks and one program for each system call.

#include "lib/process.h"

#include "dispatch.bpf.c"

#include "process/exec.bpf.c"
#include "process/procexit.bpf.c"

#include "syscalls/clone.bpf.c"
#include "syscalls/clone3.bpf.c"
#include "syscalls/close.bpf.c"
#include "syscalls/execve.bpf.c"
#include "syscalls/execveat.bpf.c"
#include "syscalls/fork.bpf.c"
#include "syscalls/openat.bpf.c"
#include "syscalls/vfork.bpf.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
