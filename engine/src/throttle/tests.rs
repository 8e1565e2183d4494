//! Windows against a plain list of them: any events, any cuts, saved and loaded on the way, under sets of rules that change.

use proptest::prelude::*;

use super::*;
use crate::event::Batch;
use crate::generated::events::EventKind;
use crate::generated::fields::Field;
use crate::host::Host;
use crate::host::tests::header;
use crate::state::tests_events::{P, openat, push, snapshot};
use crate::value::FieldArg;

const BASE: u64 = 1_000_000_000_000;

/// A set of rules on opens: each has a name, a limit, and the letter with which names of files must begin.
#[derive(Clone, Debug)]
struct Set {
    version: &'static str,
    rules: Vec<(&'static str, Option<Limit>, &'static str)>,
}

impl Rules for Set {
    fn concerns(&self, kind: EventKind) -> bool {
        kind == EventKind::Openat
    }

    fn evaluate<F: Facts>(&mut self, facts: &F, matched: &mut Vec<u32>) {
        if facts.kind() == EventKind::Openat {
            let name = facts.field(Field::FdName, &FieldArg::None);
            let name = name.bytes().unwrap_or_default();
            matched.extend((0..self.count()).filter(|rule| name.starts_with(self.rules[*rule as usize].2.as_bytes())));
        }
    }

    fn name(&self, rule: u32) -> &str {
        self.rules[rule as usize].0
    }

    fn limit(&self, rule: u32) -> Option<&Limit> {
        self.rules[rule as usize].1.as_ref()
    }

    fn count(&self) -> u32 {
        self.rules.len() as u32
    }

    fn version(&self) -> &str {
        self.version
    }

    fn told(&self, rule: u32) -> Told {
        let (name, limit, _) = &self.rules[rule as usize];
        let limit = limit.as_ref().unwrap();
        Told {
            name: (*name).into(),
            sha256: (*name).into(),
            per: limit.per.iter().map(|(name, _)| name.clone()).collect(),
            burst: limit.burst,
            every: limit.every,
            ..Told::default()
        }
    }

    fn alert<F: Facts>(&self, rule: u32, _: &F, _: &BatchHeader, seq: u64, time: u64, origin: Origin) -> Alert {
        Alert {
            rule: self.name(rule).into(),
            seq,
            time,
            origin,
            ..Alert::default()
        }
    }
}

/// One rule, of which one alert a file passes.
pub(crate) fn throttled() -> impl Rules {
    Set {
        version: "v",
        rules: vec![("files", limit(&["fd.name", "proc.name"], 1, 10 * SECOND), "/")],
    }
}

fn limit(per: &[&str], burst: u32, every: u64) -> Option<Limit> {
    let per = per.iter().map(|name| (*name).to_owned()).collect();
    Some(Limit::compile(&ThrottleRow { per, burst, every }).unwrap())
}

/// The second set has the first's rules in another order, one of them with another limit, and one has gone.
fn sets() -> [Set; 3] {
    let files = limit(&["fd.name"], 2, 10 * SECOND);
    let all = limit(&[], 1, 7 * SECOND);
    [
        Set {
            version: "one",
            rules: vec![
                ("files", files.clone(), "/"),
                ("all", all.clone(), "/a"),
                ("free", None, "/b"),
            ],
        },
        Set {
            version: "two",
            rules: vec![
                ("free", None, "/b"),
                ("all", all, "/a"),
                ("files", limit(&["fd.name"], 3, 10 * SECOND), "/"),
            ],
        },
        Set {
            version: "three",
            rules: vec![("files", files, "/")],
        },
    ]
}

/// Rule, number, time, count and whether it is a summary, of each alert.
type Row = (String, u64, u64, u64, bool);

struct PlainWindow {
    rule: Told,
    file: Option<String>,
    start: u64,
    passed: u32,
    suppressed: u64,
    last: u64,
}

impl PlainWindow {
    fn ended(&self, time: u64) -> bool {
        time.abs_diff(self.start) >= self.rule.every
    }

    fn summary(&self, time: u64, out: &mut Vec<Row>) {
        if self.suppressed > 0 {
            out.push((self.rule.name.clone(), self.last, time, self.suppressed, true));
        }
    }
}

/// The same, told plainly.
struct Plain {
    windows: Vec<PlainWindow>,
    most: usize,
    out: Vec<Row>,
}

impl Plain {
    fn change(&mut self, set: &Set, time: u64) {
        for window in std::mem::take(&mut self.windows) {
            let mut rules = (0..set.count()).filter(|rule| set.limit(*rule).is_some());
            if rules.any(|rule| set.told(rule) == window.rule) {
                self.windows.push(window);
            } else {
                window.summary(time, &mut self.out);
            }
        }
    }

    fn open(&mut self, set: &Set, seq: u64, time: u64, file: &str) {
        for rule in 0..set.count() {
            let (name, limit, letter) = &set.rules[rule as usize];
            if !file.starts_with(letter) {
                continue;
            }
            let Some(limit) = limit else {
                self.out.push(((*name).into(), seq, time, 0, false));
                continue;
            };
            let told = set.told(rule);
            let file = (!limit.per.is_empty()).then(|| file.to_owned());
            match self.windows.iter_mut().find(|w| w.rule == told && w.file == file) {
                Some(window) if window.ended(time) => {
                    self.out.push((told.name, seq, time, window.suppressed, false));
                    (window.start, window.passed, window.suppressed) = (time, 1, 0);
                }
                Some(window) if window.passed < told.burst => {
                    window.passed += 1;
                    self.out.push((told.name, seq, time, 0, false));
                }
                Some(window) => (window.suppressed, window.last) = (window.suppressed + 1, seq),
                None => {
                    if self.windows.len() >= self.most {
                        let (at, _) = self.first(|w| Some(w.start + w.rule.every)).unwrap();
                        self.windows.remove(at).summary(time, &mut self.out);
                    }
                    self.out.push((told.name.clone(), seq, time, 0, false));
                    self.windows.push(PlainWindow {
                        rule: told,
                        file,
                        start: time,
                        passed: 1,
                        suppressed: 0,
                        last: 0,
                    });
                }
            }
        }
        while let Some((at, _)) = self
            .first(|w| Some(w.start + w.rule.every).filter(|end| *end <= time))
            .or_else(|| self.last(|w| Some(w.start - w.rule.every).filter(|back| *back >= time)))
        {
            self.windows.remove(at).summary(time, &mut self.out);
        }
    }

    fn first(&self, key: impl Fn(&PlainWindow) -> Option<u64>) -> Option<(usize, u64)> {
        let keys = self.windows.iter().enumerate();
        keys.filter_map(|(at, w)| key(w).map(|key| (at, key)))
            .min_by_key(|(at, key)| (*key, *at))
    }

    fn last(&self, key: impl Fn(&PlainWindow) -> Option<u64>) -> Option<(usize, u64)> {
        let keys = self.windows.iter().enumerate();
        keys.filter_map(|(at, w)| key(w).map(|key| (at, key)))
            .max_by_key(|(at, key)| (*key, *at))
    }
}

fn rows(alerts: &[Alert]) -> Vec<Row> {
    alerts
        .iter()
        .map(|alert| {
            (
                alert.rule.clone(),
                alert.seq,
                alert.time,
                alert.suppressed,
                alert.summary,
            )
        })
        .collect()
}

/// The last is no file, and opening it an event that concerns no rule.
const FILES: [&str; 6] = ["/a", "/aa", "/b", "/c", "/d", ""];

fn add(batch: &mut Batch, time: u64, fd: i64, file: &str) {
    if file.is_empty() {
        push(batch, time, 10, EventKind::Getcwd, &[P::I(-1)]);
    } else {
        openat(batch, time, 10, fd, -100, file, 0);
    }
}

/// Time that passes before an event, in seconds, perhaps backwards; which file it opens; what happens before it: nothing, a new
/// batch, a new batch under one of three sets of rules, being saved and loaded.
fn acts() -> impl Strategy<Value = Vec<(i64, usize, u8)>> {
    let wait = prop_oneof![4 => Just(0i64), 4 => 1..4i64, 2 => 4..30i64, 1 => -3..0i64, 1 => -40..-3i64];
    prop::collection::vec((wait, 0..FILES.len(), 0u8..12), 1..150)
}

fn limits(most: usize) -> Limits {
    Limits {
        throttled: most,
        ..Limits::DEFAULT
    }
}

fn told() -> (Host, Batch) {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "bash");
    (Host::new(limits(3)), batch)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_those_of_a_plain_list(acts in acts(), most in 1usize..6) {
        let sets = sets();
        let mut set = sets[0].clone();
        let (mut host, mut batch) = (Host::new(limits(most)), told().1);
        let mut plain = Plain { windows: Vec::new(), most, out: Vec::new() };
        let (mut time, mut first, mut found, mut matches) = (BASE, 1u64, Vec::new(), 0u64);
        for (at, (wait, file, act)) in acts.iter().enumerate() {
            if *act >= 8 {
                let (head, own) = (BatchHeader { time, ..header(first) }, Origin::default());
                found.extend(host.process(&head, &batch, Some(&mut set), own).1);
                first += batch.len() as u64;
                batch = Batch::new();
                match act {
                    8 => {
                        let bytes = host.save();
                        host = Host::load(&bytes, limits(most)).unwrap();
                        prop_assert_eq!(host.save(), bytes);
                    }
                    9..=11 => set = sets[usize::from(act - 9)].clone(),
                    _ => {}
                }
                plain.change(&set, time);
                // A batch that is empty brings the new rules, as any other does.
                let head = BatchHeader { time, ..header(first) };
                found.extend(host.process(&head, &batch, Some(&mut set), own).1);
            }
            time = time.saturating_add_signed(wait * SECOND as i64);
            let seq = first + batch.len() as u64;
            add(&mut batch, time, at as i64 + 3, FILES[*file]);
            plain.open(&set, seq, time, FILES[*file]);
            matches += set.rules.iter().filter(|(_, _, letter)| FILES[*file].starts_with(letter)).count() as u64;
        }
        found.extend(host.process(&BatchHeader { time, ..header(first) }, &batch, Some(&mut set), Origin::default()).1);
        prop_assert!(host.counters()["throttled"] <= most as u64);
        found.extend(host.finish());
        plain.windows.iter().for_each(|window| window.summary(time, &mut plain.out));
        prop_assert_eq!(rows(&found), plain.out);
        let told: u64 = found.iter().map(|alert| alert.suppressed + u64::from(!alert.summary)).sum();
        prop_assert_eq!(told, matches);
        let mut ids: Vec<_> = found.iter().filter(|alert| alert.summary).map(|alert| &alert.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "each summary has an id of its own");
    }

    #[test]
    fn other_cuts_give_the_same_alerts(acts in acts(), size in 1usize..30) {
        let run = |size: usize| {
            let (mut host, mut batch) = told();
            let (mut time, mut first, mut found, mut set) = (BASE, 1, Vec::new(), sets()[0].clone());
            for part in acts.chunks(size) {
                for (wait, file, _) in part {
                    time = time.saturating_add_signed(wait * SECOND as i64);
                    add(&mut batch, time, 3, FILES[*file]);
                }
                found.extend(host.process(&header(first), &batch, Some(&mut set), Origin::default()).1);
                first += batch.len() as u64;
                batch = Batch::new();
            }
            (found, host.finish())
        };
        prop_assert_eq!(run(size), run(acts.len()));
    }

    #[test]
    fn a_hostile_saved_throttle_does_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (mut host, mut batch) = told();
        (0..40).for_each(|at| openat(&mut batch, BASE + at * SECOND / 4, 10, 3, -100, FILES[at as usize % 5], 0));
        host.process(&header(1), &batch, Some(&mut sets()[0].clone()), Origin::default());
        let (_, mut body) = crate::state::saved::unseal(&host.save(), 1 << 30).unwrap();
        let tail = body.len().min(400);
        let start = body.len() - tail;
        for (at, byte) in changes {
            body[start + at.index(tail)] = byte;
        }
        if let Ok(mut host) = Host::load(&crate::state::saved::seal(&body), limits(3)) {
            host.process(&header(100), &batch, Some(&mut sets()[1].clone()), Origin::default());
            host.save();
            host.finish();
        }
    }
}

/// Three opens of one file pass twice and are counted once; then comes something else, too late or not.
fn after(wait: u64, file: &str) -> Vec<Alert> {
    let (mut host, mut batch) = told();
    for at in 0..5 {
        openat(&mut batch, BASE + at, 10, 3, -100, "/c", 0);
    }
    openat(&mut batch, BASE + wait, 10, 3, -100, file, 0);
    host.process(
        &header(1),
        &batch,
        Some(&mut sets()[0].clone()),
        Origin {
            partition: 2,
            offset: 9,
        },
    )
    .1
}

#[test]
fn the_next_alert_of_a_key_carries_the_count() {
    let alerts = after(10 * SECOND, "/c");
    let found: Vec<_> = alerts.iter().map(|alert| (alert.suppressed, alert.summary)).collect();
    assert_eq!(found, [(0, false), (0, false), (3, false)]);
}

#[test]
fn a_window_that_ends_with_another_event_gives_a_summary() {
    assert_eq!(after(10 * SECOND - 1, "/d").len(), 3, "it has not ended");
    let alerts = after(10 * SECOND, "/d");
    let summary = &alerts[3];
    assert_eq!((summary.suppressed, summary.summary, summary.seq), (3, true, 6));
    assert_eq!(
        summary.message,
        "3 more alerts of this rule suppressed in 10 s: rule=files fd.name=/c"
    );
    assert_eq!(summary.time, BASE + 10 * SECOND);
    let fields = [
        ("evt.time".to_owned(), OutputValue::Int(BASE as i64 + 4)),
        ("fd.name".to_owned(), OutputValue::Text("/c".into())),
    ];
    assert_eq!(summary.output_fields, fields);
    assert_eq!((summary.origin.partition, summary.origin.offset), (2, 9));
    assert_eq!(
        (&summary.host_id[..], &summary.hostname[..], &summary.boot_id[..]),
        ("h", "box", "b")
    );
    assert_eq!((&summary.rules_version[..], summary.id.len()), ("one", 32));
}

#[test]
fn a_new_run_and_no_more_rules_tell_what_was_counted() {
    for next in [
        BatchHeader {
            run: 6,
            time: 77,
            ..header(500)
        },
        BatchHeader {
            boot_id: "c".into(),
            time: 77,
            ..header(1)
        },
    ] {
        let (mut host, mut batch) = told();
        (0..5).for_each(|at| openat(&mut batch, BASE + at, 10, 3, -100, "/c", 0));
        host.process(&header(1), &batch, Some(&mut sets()[0].clone()), Origin::default());
        let (_, alerts) = host.process(&next, &Batch::new(), Some(&mut sets()[0].clone()), Origin::default());
        assert_eq!(rows(&alerts), [("files".to_owned(), 6, 77, 3, true)]);
        assert_eq!(alerts[0].boot_id, "b", "the event's own");
    }
    let (mut host, mut batch) = told();
    (0..5).for_each(|at| openat(&mut batch, BASE + at, 10, 3, -100, "/c", 0));
    host.process(&header(1), &batch, Some(&mut sets()[0].clone()), Origin::default());
    let (_, alerts) = host.process::<Set>(&header(7), &Batch::new(), None, Origin::default());
    assert_eq!((alerts.len(), alerts[0].suppressed), (1, 3));
}

#[test]
fn long_values_are_told_apart_by_their_digest() {
    let (mut host, mut batch) = told();
    let name = |end: &str| format!("/{}{end}", "x".repeat(1000));
    for (at, end) in ["1", "2", "1", "1", "2"].iter().enumerate() {
        openat(&mut batch, BASE + at as u64, 10, 3, -100, &name(end), 0);
    }
    let mut set = Set {
        version: "v",
        rules: vec![("files", limit(&["fd.name"], 1, 10 * SECOND), "/")],
    };
    host.process(&header(1), &batch, Some(&mut set), Origin::default());
    let counts: Vec<u64> = host.finish().iter().map(|alert| alert.suppressed).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn spans_are_told_in_seconds() {
    let texts: Vec<String> = [SECOND / 2, 60 * SECOND, 90 * SECOND + 250_000_000].map(seconds).into();
    assert_eq!(texts, ["0.5 s", "60 s", "90.25 s"]);
}
