#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(vfork, struct pt_regs *regs, long ret) {
    RECORD(r, VFORK);
    return record__clone(&r, ret, 0x4100 /* CLONE_VFORK | CLONE_VM */);
}
