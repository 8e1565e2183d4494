#include "../lib/process.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(fork, struct pt_regs *regs, long ret) {
    RECORD(r, FORK);
    return record__clone(&r, ret, 0);
}
