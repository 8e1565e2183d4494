#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(process_vm_readv, struct pt_regs *regs, long ret) {
    RECORD(r, PROCESS_VM_READV);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__iovec(&r, regs->si, regs->dx, ret);
    return record__submit(&r);
}
