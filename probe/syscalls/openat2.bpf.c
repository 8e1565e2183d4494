#include "../lib/flags.h"
#include "../lib/store.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(openat2, struct pt_regs *regs, long ret) {
    struct open_how how = READ_USER(struct open_how, regs->dx);
    struct file_facts file = fd__facts(bpf_get_current_task_btf(), ret);
    RECORD(r, OPENAT2);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__user_str(&r, regs->si);
    record__u32(&r, flags__open(how.flags) | file.flags);
    record__u32(&r, mode__open(how.flags, how.mode));
    record__u32(&r, flags__resolve(how.resolve));
    record__u32(&r, file.dev);
    record__u64(&r, file.ino);
    return record__submit(&r);
}
