//! Joining and normalising paths as the kernel's users see them.

/// Longest path that a join may give.
const LIMIT: usize = 1024;
pub const TOO_LONG: &[u8] = b"/DIR_TOO_LONG/FILENAME_TOO_LONG";

/// `path` seen from the directory `base`: `//`, `.` and `..` collapsed, never above the root. An absolute `path` ignores `base`.
pub fn join(base: &[u8], path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let absolute = path.first() == Some(&b'/');
    if !absolute && base.len() + path.len() + 2 > LIMIT || path.len() > LIMIT {
        out.extend_from_slice(TOO_LONG);
        return;
    }
    if absolute {
        out.push(b'/');
    } else {
        if base.first() == Some(&b'/') {
            out.push(b'/');
        }
        append(base, out);
    }
    append(path, out);
}

/// Append the components of `path` to what is there.
fn append(path: &[u8], out: &mut Vec<u8>) {
    for component in path.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let rooted = out.first() == Some(&b'/');
                let cut = memchr::memrchr(b'/', out).unwrap_or(0);
                out.truncate(if rooted { cut.max(1) } else { cut });
            }
            _ => {
                if !out.is_empty() && out.last() != Some(&b'/') {
                    out.push(b'/');
                }
                out.extend_from_slice(component);
            }
        }
    }
}

/// True if joining would give the very same bytes: absolute, nothing to collapse.
pub fn is_normal(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && (path.len() == 1 || path.last() != Some(&b'/'))
        && path.len() <= LIMIT
        && memchr::memmem::find(path, b"//").is_none()
        && memchr::memmem::find(path, b"/.").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_like_in_a_shell() {
        for (base, path, joined) in [
            ("/tmp/w/", "a", "/tmp/w/a"),
            ("/tmp/w", "../a//b/./c", "/tmp/a/b/c"),
            ("/", "../../x", "/x"),
            ("/tmp", "/etc//passwd", "/etc/passwd"),
            ("/tmp", "..", "/"),
            ("", "a/b", "a/b"),
            ("./", "a", "a"),
            ("<UNKNOWN>", "a", "<UNKNOWN>/a"),
            ("/a", "b/", "/a/b"),
        ] {
            let mut out = Vec::new();
            join(base.as_bytes(), path.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), joined, "{base} + {path}");
        }
    }

    #[test]
    fn overlong_paths_are_marked() {
        let mut out = Vec::new();
        join(&[b'a'; 600], &[b'b'; 600], &mut out);
        assert_eq!(out, TOO_LONG);
    }

    #[test]
    fn normal_paths_are_known() {
        assert!(is_normal(b"/etc/passwd") && is_normal(b"/"));
        assert!(!is_normal(b"/etc//passwd") && !is_normal(b"/etc/../x") && !is_normal(b"etc"));
    }
}
