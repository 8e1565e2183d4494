#include "../lib/socket.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(sendmsg, struct pt_regs *regs, long ret) {
    struct message message = READ_USER(struct message, regs->si);
    RECORD(r, SENDMSG);
    record__s64(&r, ret);
    record__iovec(&r, message.iovec, message.iovec_count, ret < 0 ? DATA_MAX : ret);
    record__s64(&r, (s32)regs->di);
    record__u32(&r, iovec__size(message.iovec, message.iovec_count));
    record__socktuple(&r, regs->di, message.name, false);
    return record__submit(&r);
}
