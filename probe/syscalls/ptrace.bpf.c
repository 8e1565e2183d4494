#include "../lib/dynamic.h"
#include "../lib/flags.h"

// What the caller handed over or got: a word, or the signal to go on with.
static __always_inline void ptrace__data(struct record *r, struct pt_regs *regs, long ret) {
    u64 request = regs->di, data = regs->r10;
    if (ret < 0)
        record__dyn_u64(r, 0, 0);
    else if (request >= 1 && request <= 3) // PEEKTEXT, PEEKDATA, PEEKUSR
        record__dyn_u64(r, 0, READ_USER(u64, data));
    else if (request == 7 || request == 9 || request == 17 || request == 24) // CONT, SINGLESTEP, DETACH, SYSCALL
        record__dyn_u8(r, 1, data);
    else
        record__dyn_u64(r, 0, data);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(ptrace, struct pt_regs *regs, long ret) {
    RECORD(r, PTRACE);
    record__s64(&r, ret);
    record__dyn_u64(&r, 0, ret < 0 ? 0 : regs->dx);
    ptrace__data(&r, regs, ret);
    record__u16(&r, ptrace__request(regs->di));
    record__s64(&r, (s32)regs->si);
    return record__submit(&r);
}
