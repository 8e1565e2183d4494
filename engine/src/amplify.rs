//! A recording made longer: the same acts by other processes, on other files and connections, later. For benchmarks and
//! load tests, so that repetition flatters neither compression nor caches. Called by bench/ and `tiercel.testing`.

use crate::{
    event::{Batch, Event},
    table::{ParamInfo, ParamType},
};

/// Linux's largest pid_max; numbers stay below it.
const PIDS: i64 = 4_194_304;
const FIRST_EPHEMERAL: u16 = 1024;
/// Where files come and go; the system's own keep their names, as they would on a real host.
const SHORT_LIVED: [&[u8]; 6] = [b"/home/", b"/root/", b"/tmp/", b"/var/tmp/", b"/var/log/", b"/dev/shm/"];

/// The events of `batch` as round `round` (0: unchanged) of a repetition whose rounds are `span` ns long.
pub fn amplify(batch: &Batch, round: u32, span: u64) -> Batch {
    let mut out = Batch::new();
    let mut params: Vec<Vec<u8>> = Vec::new();
    for event in batch.iter() {
        let infos = event.kind().info().params;
        params.clear();
        params.extend((0..event.param_count()).map(|i| changed(&event, i, &infos[i], round)));
        out.push(
            event.ts().saturating_add(span.saturating_mul(u64::from(round))),
            fresh_pid(event.tid(), round),
            event.cpu(),
            event.kind(),
            params.iter().map(Vec::as_slice),
        );
    }
    out
}

fn changed(event: &Event<'_>, index: usize, info: &ParamInfo, round: u32) -> Vec<u8> {
    let bytes = event.param(index).unwrap_or_default();
    let mut out = bytes.to_vec();
    if round == 0 || bytes.is_empty() {
        return out;
    }
    match info.kind {
        ParamType::Pid | ParamType::Pid32 => {
            let pid = fresh_pid(event.int(index).unwrap_or_default(), round);
            out.copy_from_slice(&pid.to_le_bytes()[..bytes.len()]);
        }
        ParamType::Uint64 if is_inode(info.name) => {
            let inode = event.uint(index).unwrap_or_default();
            if inode != 0 {
                out.copy_from_slice(&(inode + u64::from(round) * 10_000_019).to_le_bytes()[..bytes.len()]);
            }
        }
        ParamType::Sockaddr => match bytes {
            [2, ..] => move_port(&mut out, 5, round),
            [10, ..] => move_port(&mut out, 17, round),
            _ => {}
        },
        ParamType::Socktuple => match bytes {
            [2, ..] => [5, 11].into_iter().for_each(|at| move_port(&mut out, at, round)),
            [10, ..] => [17, 35].into_iter().for_each(|at| move_port(&mut out, at, round)),
            [1, ..] => [1, 9].into_iter().for_each(|at| move_pointer(&mut out, at, round)),
            _ => {}
        },
        ParamType::Fspath | ParamType::Fsrelpath => out = renamed(bytes, round),
        _ => {}
    }
    out
}

fn is_inode(name: &str) -> bool {
    name == "ino" || name.ends_with("_ino") || name.ends_with("ino_num")
}

/// The same pid gives the same number in a round; 0 and -1 mean no process, other negative ones a group.
fn fresh_pid(pid: i64, round: u32) -> i64 {
    match pid {
        1.. => 1 + (pid - 1 + i64::from(round) * 200_003) % (PIDS - 1),
        ..=-2 if pid > -PIDS => -fresh_pid(-pid, round),
        _ => pid,
    }
}

/// Well-known ports stay.
fn move_port(bytes: &mut [u8], at: usize, round: u32) {
    let Some(place) = bytes.get_mut(at..at + 2) else { return };
    let port = u16::from_le_bytes([place[0], place[1]]);
    if port >= FIRST_EPHEMERAL {
        let range = u32::from(u16::MAX - FIRST_EPHEMERAL) + 1;
        let moved = (u32::from(port - FIRST_EPHEMERAL) + round.wrapping_mul(7_919) % range) % range;
        place.copy_from_slice(&(moved as u16 + FIRST_EPHEMERAL).to_le_bytes());
    }
}

/// The kernel address of a unix socket.
fn move_pointer(bytes: &mut [u8], at: usize, round: u32) {
    let Some(place) = bytes.get_mut(at..at + 8) else { return };
    let pointer = u64::from_le_bytes(place.try_into().unwrap_or_default());
    if pointer != 0 {
        place.copy_from_slice(&pointer.wrapping_add(u64::from(round) * 0x2_4940).to_le_bytes());
    }
}

/// `/tmp/a/main.c` -> `/tmp/a/main_3.c`: relative names and those in short-lived places; not hidden files, `.` or `..`.
fn renamed(path: &[u8], round: u32) -> Vec<u8> {
    let text = path.strip_suffix(b"\0").unwrap_or(path);
    let movable = !text.starts_with(b"/") || SHORT_LIVED.iter().any(|place| text.starts_with(place));
    let file = text.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
    let name = &text[file..];
    if !movable || name.is_empty() || name.starts_with(b".") || text == b"(NULL)" || name.len() > 200 {
        return path.to_vec();
    }
    let dot = file + name.iter().rposition(|&b| b == b'.').unwrap_or(name.len());
    let mut out = text[..dot].to_vec();
    out.extend_from_slice(format!("_{round}").as_bytes());
    out.extend_from_slice(&text[dot..]);
    out.extend_from_slice(&path[text.len()..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::events::EventKind;

    fn one(params: &[&[u8]], kind: EventKind) -> Batch {
        let mut batch = Batch::new();
        batch.push(1_000, 42, 1, kind, params.iter().copied());
        batch
    }

    #[test]
    fn round_zero_is_the_recording() {
        let batch = one(&[&0i64.to_le_bytes(), b"/tmp/x\0"], EventKind::Chdir);
        let same = amplify(&batch, 0, 77);
        assert_eq!((same.get(0).ts(), same.get(0).tid()), (1_000, 42));
        assert_eq!(same.get(0).param(1), Some(&b"/tmp/x\0"[..]));
    }

    #[test]
    fn pids_times_and_files_are_fresh_and_consistent() {
        let fork = one(&[&43i64.to_le_bytes()], EventKind::Fork);
        let child = amplify(&fork, 3, 10);
        assert_eq!(child.get(0).ts(), 1_030);
        assert_eq!(child.get(0).int(0), Some(fresh_pid(43, 3)));
        assert_ne!(child.get(0).int(0), Some(43));
        assert_eq!(fresh_pid(-1, 3), -1);
        assert_eq!(fresh_pid(-43, 3), -fresh_pid(43, 3));
        assert!((1..PIDS).contains(&fresh_pid(PIDS - 1, 9_999)));
        assert_eq!(renamed(b"/tmp/a/main.c\0", 3), b"/tmp/a/main_3.c\0");
        assert_eq!(renamed(b"/etc/shadow\0", 3), b"/etc/shadow\0");
        assert_eq!(renamed(b"..\0", 3), b"..\0");
        assert_eq!(renamed(b"a\0", 12), b"a_12\0");
    }

    #[test]
    fn well_known_ports_stay() {
        let mut tuple = vec![2, 127, 0, 0, 1];
        tuple.extend(40_000u16.to_le_bytes());
        tuple.extend([127, 0, 0, 1]);
        tuple.extend(443u16.to_le_bytes());
        let connect = one(&[&0i64.to_le_bytes(), &tuple], EventKind::Connect);
        let moved = amplify(&connect, 1, 0)
            .get(0)
            .param(1)
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        assert_ne!(moved[5..7], tuple[5..7]);
        assert_eq!(moved[11..13], tuple[11..13]);
    }

    #[test]
    fn odd_bytes_do_no_harm() {
        for bytes in [&[][..], &[2], &[10, 1, 2], &[1, 9], &[0xff; 3]] {
            let batch = one(&[bytes, bytes, bytes, bytes], EventKind::Connect);
            assert_eq!(amplify(&batch, 5, u64::MAX).len(), 1);
        }
    }
}
