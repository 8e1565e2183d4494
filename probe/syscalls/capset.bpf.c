#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(capset, struct pt_regs *regs, long ret) {
    struct credentials cred = task__credentials(bpf_get_current_task_btf());
    FIXED(f, CAPSET);
    fixed__s64(&f, ret);
    fixed__u64(&f, cred.inheritable);
    fixed__u64(&f, cred.permitted);
    fixed__u64(&f, cred.effective);
    return fixed__submit(&f);
}
