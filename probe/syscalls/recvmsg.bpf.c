#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(recvmsg, struct pt_regs *regs, long ret) {
    struct message message = READ_USER(struct message, regs->si);
    RECORD(r, RECVMSG);
    record__s64(&r, ret);
    record__u32(&r, iovec__size(message.iovec, message.iovec_count));
    record__iovec(&r, message.iovec, message.iovec_count, ret);
    if (ret >= 0)
        record__socktuple(&r, regs->di, message.name, true);
    else
        record__none(&r);
    record__user_bytes(&r, message.control, ret < 0 ? 0 : message.control_len, CONTROL_MAX);
    record__s64(&r, (s32)regs->di);
    return record__submit(&r);
}
