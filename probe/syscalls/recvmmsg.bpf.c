#include "../lib/socket.h"

// An event for each message, with its own length as result; a failed call tells of the first.
__noinline int recvmmsg__message(u64 address, s64 fd, s64 ret) {
    struct numbered_message one = READ_USER(struct numbered_message, address);
    s64 len = ret > 0 ? one.len : ret;
    RECORD(r, RECVMMSG);
    record__s64(&r, len);
    record__s64(&r, (s32)fd);
    record__u32(&r, iovec__size(one.message.iovec, one.message.iovec_count));
    record__iovec(&r, one.message.iovec, one.message.iovec_count, len);
    if (ret <= 0)
        record__none(&r);
    else
        record__socktuple(&r, fd, one.message.name, true);
    record__user_bytes(&r, one.message.control, ret <= 0 ? 0 : one.message.control_len, CONTROL_MAX);
    return record__submit(&r);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(recvmmsg, struct pt_regs *regs, long ret) {
    for (u32 i = 0; i < MESSAGES_MAX; i++) {
        recvmmsg__message(regs->si + i * sizeof(struct numbered_message), regs->di, ret);
        if ((s64)i + 1 >= ret)
            break;
    }
    return 0;
}
