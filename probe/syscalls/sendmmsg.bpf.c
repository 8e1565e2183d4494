#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(sendmmsg, struct pt_regs *regs, long ret) {
    // Of the first message; its length is behind the header.
    struct message message = READ_USER(struct message, regs->si);
    s64 len = ret > 0 ? READ_USER(u32, regs->si + sizeof(struct message)) : 0;
    RECORD(r, SENDMMSG);
    record__s64(&r, ret);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, iovec__size(message.iovec, message.iovec_count));
    record__iovec(&r, message.iovec, message.iovec_count, len);
    record__socktuple(&r, regs->di, message.name, false);
    return record__submit(&r);
}
