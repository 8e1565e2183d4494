use super::*;
use crate::event::Batch;

fn rendered(kind: EventKind, params: &[&[u8]]) -> String {
    let mut batch = Batch::new();
    batch.push(0, 1, 0, kind, params.iter().copied());
    let mut out = Vec::new();
    args(&batch.get(0), &Nobody, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn numbers_are_those_of_the_standard_library() {
    for value in [0, 9, -10, 1_234_567, i64::MAX, i64::MIN] {
        let mut out = Vec::new();
        number(value, &mut out);
        assert_eq!(out, value.to_string().as_bytes());
    }
}

#[test]
fn flags_and_errors_have_names() {
    let text = rendered(
        EventKind::Openat,
        &[
            &(-2i64).to_le_bytes(),
            &(-100i64).to_le_bytes(),
            b"/etc/x\0",
            &16646u32.to_le_bytes(),
            &0o666u32.to_le_bytes(),
            &0xfe00u32.to_le_bytes(),
            &7u64.to_le_bytes(),
        ],
    );
    assert_eq!(
        text,
        "fd=-2(ENOENT) dirfd=-100(AT_FDCWD) name=/etc/x flags=16646(O_TRUNC|O_CREAT|O_WRONLY|O_F_CREATED) mode=0666 dev=FE00 ino=7"
    );
}

#[test]
fn absent_and_empty_parameters_differ() {
    let text = rendered(
        EventKind::Write,
        &[&3i64.to_le_bytes(), b"k\n", b"", &3u32.to_le_bytes()],
    );
    assert_eq!(text, "res=3 data=k. fd=<NA> size=3");
    assert_eq!(rendered(EventKind::Chdir, &[&0i64.to_le_bytes(), b"\0"]), "res=0 path=");
    assert_eq!(
        rendered(EventKind::Chdir, &[&0i64.to_le_bytes(), b""]),
        "res=0 path=<NA>"
    );
}

#[test]
fn zero_has_a_name_only_where_the_table_gives_one() {
    let mut out = Vec::new();
    assert!(!flags(Some(crate::generated::flags::CLONE_FLAGS), 0, &mut out));
    assert!(flags(Some(crate::generated::flags::FILE_FLAGS), 0, &mut out));
    assert_eq!(out, b"O_NONE");
}

#[test]
fn durations_print_like_c() {
    for (ns, text) in [
        (10_000_000, "0.01"),
        (20_000, "2e-05"),
        (60_000_000_000u64, "60"),
        (1_234_567_890, "1.23457"),
    ] {
        let mut out = Vec::new();
        general(ns as f64 / 1e9, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
    let mut out = Vec::new();
    general(1e9, &mut out);
    assert_eq!(out, b"1e+09");
}

#[test]
fn times_are_civil() {
    let mut out = Vec::new();
    absolute(4_248_374_329_600_382_692, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "2104-08-16 23:58:49.600382692");
}

#[test]
fn a_dynamic_value_takes_its_type_from_its_first_byte() {
    let mut value = vec![4];
    value.extend_from_slice(&60_000_000_000u64.to_le_bytes());
    let text = rendered(
        EventKind::Setsockopt,
        &[
            &0i64.to_le_bytes(),
            &7i64.to_le_bytes(),
            &[1],
            &[21],
            &value,
            &16u32.to_le_bytes(),
        ],
    );
    assert_eq!(
        text,
        "res=0 fd=7 level=1(SOL_SOCKET) optname=21(SO_SNDTIMEO) val=60000000000(60s) optlen=16"
    );
}

#[test]
fn recorded_answers_are_used() {
    let mut batch = Batch::new();
    batch.push(
        0,
        1,
        0,
        EventKind::Dup,
        [&4i64.to_le_bytes()[..], &3i64.to_le_bytes()[..]],
    );
    let facts = EventFacts {
        fd: Some(4),
        resolved: vec![(1, b"<f>/b".to_vec())],
        ..EventFacts::default()
    };
    let file = File {
        typechar: b'f',
        name: b"/a".to_vec(),
        ..File::default()
    };
    let mut out = Vec::new();
    args(
        &batch.get(0),
        &Recorded {
            facts: &facts,
            file: Some(&file),
        },
        &mut out,
    );
    assert_eq!(out, b"res=4(<f>/a) oldfd=3(<f>/b)");
}

#[test]
fn bytes_that_fit_no_type_do_no_harm() {
    for kind in crate::generated::events::KINDS {
        for junk in [&b"\x01"[..], b"\xff\xff\xff", b"(NULL)\0", &[0xff; 40]] {
            let params = vec![junk; kind.info().params.len()];
            rendered(kind, &params);
        }
    }
}
