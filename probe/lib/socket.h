// Addresses and connections: from the caller's memory and from the kernel's sockets.

#pragma once

#include "paths.h"

#define SUN_PATH_MAX 108
#define IOV_MAX_LOOKED_AT 16
#define DATA_MAX 80 // bytes of payload that an event carries
#define CONTROL_MAX 255

static __always_inline u16 port(u16 network) {
    return __builtin_bswap16(network);
}

// The socket behind a descriptor of the current process, 0 if it is none.
static __always_inline u64 fd__sock(s64 fd) {
    struct file *file = fd__file(bpf_get_current_task_btf(), fd);
    if (!file)
        return 0;
    u64 inode = (u64)READ(struct file, file, f_inode);
    if ((READ(struct inode, inode, i_mode) & S_IFMT) != S_IFSOCK)
        return 0;
    return (u64)READ(struct socket, READ(struct file, file, private_data), sk);
}

#define SOCK(sk, field) READ(struct sock, sk, __sk_common.field)
#define PUT(type, value)                                                                                               \
    do {                                                                                                               \
        STORE(type, &s->data[pos & POSITION_MASK], value);                                                             \
        pos += sizeof(type);                                                                                           \
    } while (0)

// A socket address of user memory as family byte and what belongs to it; the bytes written.
__noinline u32 scratch__sockaddr(struct scratch *s, u32 pos, u64 address, u32 len) {
    if (!s || !address || len < 2)
        return 0;
    u32 start = pos;
    u16 family = READ_USER(u16, address);
    PUT(u8, family);
    if (family == AF_INET) {
        u16 number = READ_USER(u16, address + 2);
        PUT(u32, READ_USER(u32, address + 4));
        PUT(u16, port(number));
    } else if (family == AF_INET6) {
        u16 number = READ_USER(u16, address + 2);
        PUT(u64, READ_USER(u64, address + 8));
        PUT(u64, READ_USER(u64, address + 16));
        PUT(u16, port(number));
    } else if (family == AF_UNIX) {
        address += 2;
        len -= 2;
        if (len && !READ_USER(u8, address)) { // an abstract name begins with NUL
            address++;
            len--;
        }
        u32 size = len >= SUN_PATH_MAX ? SUN_PATH_MAX + 1 : len + 1;
        OPAQUE(size);
        size &= 127;
        long written = bpf_probe_read_user_str(&s->data[pos & POSITION_MASK], size, (const void *)address);
        if (written > 0)
            pos += written;
        else
            PUT(u8, 0);
    }
    return pos - start;
}

// Bound name of a Unix socket and a NUL. An abstract one has no NUL behind it, only a length.
static __always_inline u32 scratch__unix_name(struct scratch *s, u32 pos, u64 sk) {
    u64 bound = sk ? (u64)READ(struct unix_sock, sk, addr) : 0;
    u32 len = 0;
    if (bound && (targ_raw || targ_probe_kernel)) {
        u64 name = bound + bpf_core_field_offset(struct unix_address, name) + 2;
        u32 size = READ(struct unix_address, bound, len) - 2;
        if (!(read__kernel_u64(name) & 0xff)) {
            name++;
            size--;
        }
        *(volatile u64 *)&s->node = name; // through memory: a function of its own takes plain numbers only
        len = scratch__name(s, pos, *(volatile u64 *)&s->node);
        if (len > size)
            len = size;
        if (len > SUN_PATH_MAX)
            len = 0;
    }
    s->data[(pos + len) & POSITION_MASK] = 0;
    return len + 1;
}

// The two ends of a socket, the sender first: this end for an outbound call, the peer for an inbound one. Where the
// socket knows no peer (datagrams), `address` of the call tells it. The bytes written.
__noinline u32 scratch__socktuple(struct scratch *s, u32 pos, s32 fd, u64 address, u32 inbound) {
    u64 sk = s ? fd__sock(fd) : 0;
    if (!s || !sk)
        return 0;
    u32 start = pos;
    u16 family = SOCK(sk, skc_family);
    if (family == AF_INET) {
        u32 local = READ(struct inet_sock, sk, inet_saddr), remote = SOCK(sk, skc_daddr);
        u16 local_port = port(READ(struct inet_sock, sk, inet_sport)), remote_port = port(SOCK(sk, skc_dport));
        if (!remote && address && READ_USER(u16, address) == AF_INET) {
            u16 number = READ_USER(u16, address + 2);
            remote_port = port(number);
            remote = READ_USER(u32, address + 4);
        }
        PUT(u8, family);
        PUT(u32, inbound ? remote : local);
        PUT(u16, inbound ? remote_port : local_port);
        PUT(u32, inbound ? local : remote);
        PUT(u16, inbound ? local_port : remote_port);
    } else if (family == AF_INET6) {
        u16 local_port = port(READ(struct inet_sock, sk, inet_sport)), remote_port = port(SOCK(sk, skc_dport));
        u64 ends[4];
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            u32 low = SOCK(sk, skc_v6_rcv_saddr.in6_u.u6_addr32[2 * i]);
            u32 high = SOCK(sk, skc_v6_rcv_saddr.in6_u.u6_addr32[2 * i + 1]);
            ends[i] = low | (u64)high << 32;
            low = SOCK(sk, skc_v6_daddr.in6_u.u6_addr32[2 * i]);
            high = SOCK(sk, skc_v6_daddr.in6_u.u6_addr32[2 * i + 1]);
            ends[2 + i] = low | (u64)high << 32;
        }
        if (!(ends[2] | ends[3]) && address && READ_USER(u16, address) == AF_INET6) {
            u16 number = READ_USER(u16, address + 2);
            remote_port = port(number);
            ends[2] = READ_USER(u64, address + 8);
            ends[3] = READ_USER(u64, address + 16);
        }
        PUT(u8, family);
        PUT(u64, inbound ? ends[2] : ends[0]);
        PUT(u64, inbound ? ends[3] : ends[1]);
        PUT(u16, inbound ? remote_port : local_port);
        PUT(u64, inbound ? ends[0] : ends[2]);
        PUT(u64, inbound ? ends[1] : ends[3]);
        PUT(u16, inbound ? local_port : remote_port);
    } else if (family == AF_UNIX) {
        u64 peer = (u64)READ(struct unix_sock, sk, peer);
        PUT(u8, family);
        PUT(u64, inbound ? peer : sk);
        PUT(u64, inbound ? sk : peer);
        pos += scratch__unix_name(s, pos, inbound ? sk : peer);
    }
    return pos - start;
}

// The first bytes of the buffers of an iovec of user memory, `total` of which hold data.
__noinline u32 scratch__iovec(struct scratch *s, u32 pos, u64 iovec, u32 count, s64 total) {
    if (!s || total <= 0)
        return 0;
    u32 room = total < DATA_MAX ? total : DATA_MAX, done = 0;
    for (u32 i = 0; i < IOV_MAX_LOOKED_AT; i++) {
        if (i >= count || done >= room)
            break;
        u64 base = READ_USER(u64, iovec + 16 * i), len = READ_USER(u64, iovec + 16 * i + 8);
        u32 size = len < room - done ? len : room - done;
        OPAQUE(size);
        size &= 127;
        u32 at = pos + done;
        OPAQUE(at);
        at &= POSITION_MASK;
        if (!size || bpf_probe_read_user(&s->data[at], size, (const void *)base))
            continue;
        done += size;
    }
    return done;
}

// Bytes that an iovec of user memory has room for.
__noinline u64 iovec__size(u64 iovec, u32 count) {
    u64 sum = 0;
    for (u32 i = 0; i < IOV_MAX_LOOKED_AT; i++) {
        if (i >= count)
            break;
        sum += READ_USER(u64, iovec + 16 * i + 8);
    }
    return sum;
}

static __always_inline void record__sockaddr(struct record *r, u64 address, u32 len) {
    record__push(r, scratch__sockaddr(r->s, r->pos, address, len));
}

// The address of a successful bind. Asked for port 0, the kernel chose one.
static __always_inline void record__bound(struct record *r, s32 fd, u64 address, u32 len) {
    len = scratch__sockaddr(r->s, r->pos, address, len);
    u64 sk = len == 1 + 4 + 2 || len == 1 + 16 + 2 ? fd__sock(fd) : 0;
    if (sk) {
        u32 at = r->pos + len - 2;
        OPAQUE(at);
        at &= POSITION_MASK;
        STORE(u16, &r->s->data[at], port(READ(struct inet_sock, sk, inet_sport)));
    }
    record__push(r, len);
}

static __always_inline void record__socktuple(struct record *r, s32 fd, u64 address, bool inbound) {
    record__push(r, scratch__socktuple(r->s, r->pos, fd, address, inbound));
}

// The data of a read or write.
static __always_inline void record__iovec(struct record *r, u64 iovec, u32 count, s64 total) {
    if (record__sheds_payload(r, total))
        record__none(r);
    else
        record__push(r, scratch__iovec(r->s, r->pos, iovec, count, total));
}

// `struct user_msghdr`, as the C library lays it out on 64-bit machines.
struct message {
    u64 name;
    u32 name_len, padding;
    u64 iovec, iovec_count, control, control_len;
    u32 flags;
};

// `struct mmsghdr`, and how many of them one call takes at most.
struct numbered_message {
    struct message message;
    u32 len, padding2;
};

#define MESSAGES_MAX 1024

// queuepct, queuelen, queuemax of a listening socket.
static __always_inline void record__backlog(struct record *r, s32 fd) {
    u64 sk = fd__sock(fd);
    u32 len = sk ? READ(struct sock, sk, sk_ack_backlog) : 0, max = sk ? READ(struct sock, sk, sk_max_ack_backlog) : 0;
    record__u8(r, max ? (u64)len * 100 / max : 0);
    record__u32(r, len);
    record__u32(r, max);
}
