//! Container ids from control-group paths.

/// What a thread of no container has.
pub const HOST: &[u8] = b"host";

const ID: usize = 64;
const SHORT: usize = 12;

/// Prefix and suffix around a 64-digit id, in order of trial: podman, docker, the CRI runtimes. Last occurrence of each.
const RUNC: [(&[u8], &[u8]); 12] = [
    (b"/libpod-", b".scope"),
    (b"/libpod-", b".scope/container"),
    (b"/libpod-", b""),
    (b"/libpod-payload-", b".scope"),
    (b"/libpod-payload-", b".scope/container"),
    (b"/libpod-payload-", b""),
    (b"/", b""),
    (b"/docker-", b".scope"),
    (b"/crio-", b""),
    (b"/cri-containerd-", b".scope"),
    (b"/crio-", b".scope"),
    (b":cri-containerd:", b""),
];
const NERDCTL: (&[u8], &[u8]) = (b"/nerdctl-", b".scope");

/// A container as control groups name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// As events know it.
    pub id: &'a [u8],
    /// All digits of the id.
    pub full: &'a [u8],
    /// Number of the engine in captures, where the path alone tells it and no runtime will say more.
    pub engine: Option<u8>,
}

/// The container that [`id_of`] names, with what else the path tells; none on the host.
pub fn found(cgroups: &[u8]) -> Option<Found<'_>> {
    let path = super::text::items(cgroups)
        .filter_map(|entry| memchr::memchr(b'=', entry).map(|at| &entry[at + 1..]))
        .find(|path| id_of_path(path).is_some())?;
    let id = id_of_path(path)?;
    // The id is a part of the path: what follows it are its other digits.
    let start = id.as_ptr().addr() - path.as_ptr().addr();
    let digits = path[start..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let of_runtime = digits == ID && id.len() == SHORT;
    let full = if of_runtime {
        &path[start..start + ID]
    } else if containerd(path) == Some(id) {
        &path[start..]
    } else {
        id
    };
    let engine = match path {
        _ if of_runtime || containerd(path).is_some() => None,
        _ if lxc(path).is_some() => Some(1),
        _ if libvirt(path).is_some() => Some(2),
        _ if bpm(path).is_some() => Some(9),
        _ => Some(12),
    };
    Some(Found { id, full, engine })
}

/// Id of the container that a thread with these control groups (`subsys=path`, NUL-separated) runs in: [`HOST`] if none.
pub fn id_of(cgroups: &[u8]) -> &[u8] {
    super::text::items(cgroups)
        .filter_map(|entry| memchr::memchr(b'=', entry).map(|at| &entry[at + 1..]))
        .find_map(id_of_path)
        .unwrap_or(HOST)
}

fn id_of_path(path: &[u8]) -> Option<&[u8]> {
    if path.len() < 2 {
        return None;
    }
    RUNC.iter()
        .chain([&NERDCTL])
        .find_map(|(prefix, suffix)| runc(path, prefix, suffix))
        .or_else(|| containerd(path))
        .or_else(|| by_name(path))
}

/// Of engines that call a container as its owner does. Who may make control groups does not become another's container:
/// what looks like a runtime's id is no name.
fn by_name(path: &[u8]) -> Option<&[u8]> {
    let name = lxc(path)
        .or_else(|| libvirt(path))
        .or_else(|| bpm(path))
        .or_else(|| nspawn(path))?;
    let digits = matches!(name.len(), SHORT | ID) && name.iter().all(u8::is_ascii_hexdigit);
    (!digits).then_some(name)
}

fn runc<'a>(path: &'a [u8], prefix: &[u8], suffix: &[u8]) -> Option<&'a [u8]> {
    let start = memchr::memmem::rfind(path, prefix)? + prefix.len();
    let end = if suffix.is_empty() {
        path.len()
    } else {
        memchr::memmem::rfind(path, suffix)?
    };
    let id = path.get(start..end)?;
    (id.len() == ID && id.iter().all(u8::is_ascii_hexdigit)).then(|| &id[..SHORT])
}

fn containerd(path: &[u8]) -> Option<&[u8]> {
    if [&b".service"[..], b".slice", b".scope"]
        .iter()
        .any(|suffix| path.ends_with(suffix))
    {
        return None;
    }
    let rest = path.strip_prefix(b"/")?;
    let slash = memchr::memchr(b'/', rest)?;
    let (space, id) = (&rest[..slash], &rest[slash + 1..]);
    let words = space.split(|b| matches!(b, b'.' | b'_' | b'-'));
    let valid = words
        .clone()
        .all(|word| !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric));
    (valid && (1..=ID).contains(&id.len()) && !id.contains(&b'/')).then(|| &id[..id.len().min(SHORT)])
}

fn lxc(path: &[u8]) -> Option<&[u8]> {
    [&b"/lxc/"[..], b"/lxc.payload/", b"/lxc.payload."]
        .iter()
        .find_map(|prefix| {
            let start = memchr::memmem::find(path, prefix)? + prefix.len();
            let end = memchr::memchr(b'/', &path[start..]).map_or(path.len(), |at| start + at);
            (end > start).then(|| &path[start..end])
        })
}

fn libvirt(path: &[u8]) -> Option<&[u8]> {
    if let Some(head) = path.strip_suffix(b".libvirt-lxc") {
        let start = memchr::memrchr(b'/', head)? + 1;
        return (start < head.len()).then(|| &head[start..]);
    }
    if let Some(head) = path
        .strip_suffix(b".scope")
        .or_else(|| path.strip_suffix(b".scope/libvirt"))
        && let Some(at) = memchr::memmem::rfind(head, b"-lxc\\x2")
    {
        let start = at + b"-lxc\\x2".len() + 1;
        return head.get(start..).filter(|id| !id.is_empty());
    }
    let start = memchr::memmem::find(path, b"/libvirt/lxc/")? + b"/libvirt/lxc/".len();
    let end = memchr::memchr(b'/', &path[start..]).map_or(path.len(), |at| start + at);
    (end > start).then(|| &path[start..end])
}

fn bpm(path: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::rfind(path, b"bpm-")? + b"bpm-".len();
    let end = memchr::memmem::rfind(path, b".scope").unwrap_or(path.len());
    let id = path.get(start..end)?;
    let valid = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (!id.is_empty() && id.iter().all(valid)).then_some(id)
}

/// `machine-<name>.scope` of systemd-machined, the name as systemd escapes it. Virtual machines of libvirt
/// (`machine-qemu\x2d…`) have the same form and are none.
fn nspawn(path: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::find(path, b"/machine-")? + b"/machine-".len();
    let name = &path[start..];
    let name = &name[..memchr::memchr(b'/', name).unwrap_or(name.len())];
    let name = name.strip_suffix(b".scope")?;
    (!name.is_empty() && !name.starts_with(b"qemu\\x2d")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "27794335214c55a9f43dff8b00c77c22166ca97c4d9dfb6744818a0c3ecdb299";

    fn id(path: &str) -> String {
        let cgroups = format!("cpuset=/\0memory={path}\0");
        String::from_utf8(id_of(cgroups.as_bytes()).to_vec()).unwrap()
    }

    #[test]
    fn runtimes_are_recognised() {
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-ID.scope",
            "/kubepods/besteffort/podx/ID",
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/machine.slice/libpod-payload-ID",
            "/ecs/task/ID",
            "/kubepods.slice/crio-ID.scope",
            "/system.slice/containerd.service/kubepods-x.slice:cri-containerd:ID",
            "/default.slice/nerdctl-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-7.scope/ID",
        ] {
            assert_eq!(id(&path.replace("ID", HEX)), "27794335214c", "{path}");
        }
        assert_eq!(id("/default/my-container"), "my-container");
        assert_eq!(id("/lxc/box1/init.scope"), "box1");
        assert_eq!(id("/lxc.payload.box2"), "box2");
        assert_eq!(id("/machine.slice/machine-lxc\\x2dweb.scope"), "web");
        assert_eq!(id("/machine/lxc-web/web.libvirt-lxc"), "web");
        assert_eq!(id("/system.slice/runc-bpm-uaa.scope"), "uaa");
        assert_eq!(id("/machine.slice/machine-web.scope"), "web");
        assert_eq!(
            id("/machine.slice/machine-web.scope/payload/system.slice/ssh.service"),
            "web"
        );
    }

    #[test]
    fn the_path_tells_all_digits_and_engines_without_a_socket() {
        let of = |path: &str| {
            let cgroups = format!("cpu=/\0memory={path}\0");
            found(cgroups.as_bytes()).map(|found| (String::from_utf8(found.full.to_vec()).unwrap(), found.engine))
        };
        assert_eq!(
            of(&format!("/system.slice/docker-{HEX}.scope")),
            Some((HEX.into(), None))
        );
        assert_eq!(
            of(&format!("/machine.slice/libpod-{HEX}.scope/container")),
            Some((HEX.into(), None))
        );
        assert_eq!(of("/default/a-longer-name-1"), Some(("a-longer-name-1".into(), None)));
        assert_eq!(of("/lxc/box1/init.scope"), Some(("box1".into(), Some(1))));
        assert_eq!(of("/machine/lxc-web/web.libvirt-lxc"), Some(("web".into(), Some(2))));
        assert_eq!(of("/system.slice/runc-bpm-uaa.scope"), Some(("uaa".into(), Some(9))));
        assert_eq!(of("/machine.slice/machine-web.scope"), Some(("web".into(), Some(12))));
        assert_eq!(of("/init.scope"), None);
    }

    #[test]
    fn everything_else_is_the_host() {
        for path in [
            "",
            "/",
            "/user.slice/user-0.slice/session-1.scope",
            "/init.scope",
            "/system.slice/ssh.service",
            "/machine.slice/machine-.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
            "/system.slice/machine-id.service",
        ] {
            assert_eq!(id(path), "host", "{path}");
        }
        assert_eq!(id(&format!("/x/docker/{}", &HEX[..63])), "host");
        assert_eq!(id_of(b"garbage"), HOST);
    }
}
