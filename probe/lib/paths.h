// Names that the kernel keeps as chains of parents: file paths and cgroup paths, written root first into a record.

#pragma once

#include "store.h"

#define PATH_DEPTH 48
#define CGROUP_DEPTH 16
#define NAME_WORDS 32

// Copies the NUL-terminated name at `address` to `pos`; its length without NUL (at most 255).
// Not static: verified once, not at every call.
__noinline u32 scratch__name(struct scratch *s, u32 pos, u64 address) {
    if (!s)
        return 0;
    if (!targ_raw && targ_probe_kernel) {
        long len = bpf_probe_read_kernel_str(&s->data[pos & POSITION_MASK], 256, (const void *)address);
        return len > 0 ? len - 1 : 0;
    }
    for (u32 i = 0; i < NAME_WORDS; i++) {
        u64 word = read__kernel_u64(address + 8 * i);
        u32 at = pos + 8 * i;
        OPAQUE(at);
        at &= POSITION_MASK;
        *(u64 *)&s->data[at] = word;
        if (((word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull) == 0)
            continue;
        u32 len = 8 * i;
        for (u32 byte = 0; byte < 8 && word & 0xff; byte++, word >>= 8)
            len++;
        return len;
    }
    return 255;
}

// Writes the first `count` of the scratch's parts, last one first, each behind a slash, and a NUL; the bytes written.
// No more than 3,840 bytes of names: then the path ends early.
static __always_inline u32 scratch__join(struct scratch *s, u32 pos, u32 count, const u32 depth) {
    u32 start = pos;
    for (u32 i = 0; i < depth; i++) {
        if (i >= count || pos - start > STRING_MAX - 257)
            break;
        u32 part = count - 1 - i;
        OPAQUE(part);
        part &= PARTS_MAX - 1;
        s->data[pos & POSITION_MASK] = '/';
        pos++;
        pos += scratch__name(s, pos, s->parts[part]);
    }
    if (pos == start)
        s->data[pos++ & POSITION_MASK] = '/';
    s->data[pos++ & POSITION_MASK] = 0;
    return pos - start;
}

// Adds the address of a name to the scratch's parts; false when they are full.
static __always_inline bool scratch__add(struct scratch *s, u64 name) {
    u32 count = s->count;
    if (count >= PATH_DEPTH)
        return false;
    s->parts[count & (PARTS_MAX - 1)] = name;
    s->count = count + 1;
    return true;
}

// Path of the file at (mount, node) up to the root in the scratch; a file outside any mount (memfd) has its bare name.
__noinline u32 scratch__path(struct scratch *s, u32 pos) {
    if (!s)
        return 0;
    s->count = 0;
    bool bare = false;
    for (u32 i = 0; i < 2 * PATH_DEPTH; i++) {
        u64 node = s->node, mount = s->mount;
        if (!node || node == s->root)
            break;
        if (node == (u64)READ(struct mount, mount, mnt.mnt_root)) {
            u64 parent = (u64)READ(struct mount, mount, mnt_parent);
            if (parent == mount || !parent)
                break;
            s->node = (u64)READ(struct mount, mount, mnt_mountpoint);
            s->mount = parent;
            continue;
        }
        if (!scratch__add(s, (u64)READ(struct dentry, node, d_name.name)))
            break;
        u64 parent = (u64)READ(struct dentry, node, d_parent);
        if (parent == node) {
            bare = true;
            break;
        }
        s->node = parent;
    }
    if (!bare)
        return scratch__join(s, pos, s->count, PATH_DEPTH);
    u32 len = scratch__name(s, pos, s->parts[0]);
    s->data[(pos + len) & POSITION_MASK] = 0;
    return len + 1;
}

// Path of the cgroup whose kernfs node is in the scratch, and a NUL.
__noinline u32 scratch__cgroup(struct scratch *s, u32 pos) {
    if (!s)
        return 0;
    s->count = 0;
    for (u32 i = 0; i < CGROUP_DEPTH; i++) {
        u64 node = s->node;
        u64 parent = bpf_core_field_exists(((struct kernfs_node *)0)->__parent)
                         ? (u64)READ(struct kernfs_node, node, __parent)
                         : (u64)READ(struct kernfs_node___before_6_15, node, parent);
        if (!parent) // the root has no name
            break;
        if (!scratch__add(s, (u64)READ(struct kernfs_node, node, name)))
            break;
        s->node = parent;
    }
    return scratch__join(s, pos, s->count, CGROUP_DEPTH);
}

// A file's path as a parameter; without value where there is no file.
static __always_inline void record__path(struct record *r, struct path *path, struct fs_struct *fs) {
    u32 len = 0;
    if (path && fs && (targ_raw || targ_probe_kernel)) {
        r->s->mount = (u64)READ(struct path, path, mnt);
        if (r->s->mount)
            r->s->mount -= bpf_core_field_offset(struct mount, mnt);
        r->s->node = (u64)READ(struct path, path, dentry);
        r->s->root = (u64)fs->root.dentry;
        len = r->s->node ? scratch__path(r->s, r->pos) : 0;
    }
    record__push(r, len);
}
