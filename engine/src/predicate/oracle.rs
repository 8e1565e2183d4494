//! The graph against a plain evaluator: no memory, no index, no order of its own. Random plans, random events.

use proptest::prelude::*;

use super::{
    RuleSet,
    literal::Literal,
    operand::Operand,
    plan::{Matching, NodeRow, Plan},
    test::Test,
};
use crate::{
    generated::{events::EventKind, fields::Field},
    value::{Facts, FieldArg, Value},
};

/// Judges by recursion over the rows.
struct Plain {
    plan: Plan,
    /// By number of the node.
    tests: Vec<Option<Test>>,
}

impl Plain {
    fn new(plan: &str) -> Plain {
        let plan = Plan::parse(plan).unwrap();
        let mut operands = Vec::new();
        for row in &plan.operands {
            operands.push(Operand::compile(row, &operands).unwrap());
        }
        let test = |row: &NodeRow| match row {
            NodeRow::Test(row) => Some(Test::compile(row, &operands).unwrap()),
            _ => None,
        };
        let tests = plan.nodes.iter().map(test).collect();
        Plain { plan, tests }
    }

    fn holds<F: Facts>(&self, index: usize, event: &F) -> bool {
        match &self.plan.nodes[index] {
            NodeRow::All(children) => children.iter().all(|&child| self.holds(child, event)),
            NodeRow::Any(children) => children.iter().any(|&child| self.holds(child, event)),
            NodeRow::Not(child) => !self.holds(*child, event),
            NodeRow::Test(_) => self.tests[index].as_ref().unwrap().matches(event),
        }
    }

    /// The rules that match an event.
    fn evaluate<F: Facts>(&self, event: &F) -> Vec<u32> {
        let rules = &self.plan.rules;
        let code = event.kind().code();
        let mut matched: Vec<u32> = (0..rules.len())
            .filter(|&rule| rules[rule].codes.contains(&code) && self.holds(rules[rule].node, event))
            .map(|rule| rule as u32)
            .collect();
        if self.plan.matching == Matching::First {
            matched.truncate(1);
        }
        matched
    }
}

/// Fields of every scope, with operators and constants that sometimes match.
const TESTS: &[&str] = &[
    r#"{"left":0,"op":"=","values":["sh"]}"#,
    r#"{"left":0,"op":"in","values":["cat","sh","a","b","c"]}"#,
    r#"{"left":0,"op":"!=","values":["cat"]}"#,
    r#"{"left":1,"op":"startswith","values":["/etc"]}"#,
    r#"{"left":1,"op":"contains","modifier":"anyof","values":["pass","shadow","x","y","z"]}"#,
    r#"{"left":1,"op":"endswith","modifier":"oneof","values":["d","wd"]}"#,
    r#"{"left":1,"op":"pmatch","values":["/etc","/tmp/*/x"]}"#,
    r#"{"left":1,"op":"exists"}"#,
    r#"{"left":2,"op":">=","values":[3]}"#,
    r#"{"left":3,"op":"=","values":["openat"]}"#,
    r#"{"left":3,"op":"in","values":["close","execve"]}"#,
    r#"{"left":4,"op":"=","values":["sh"]}"#,
    r#"{"left":0,"op":"=","right":5}"#,
    r#"{"left":6,"op":"=","values":["SH"]}"#,
    r#"{"left":7,"op":"<","values":[1000]}"#,
    r#"{"left":0,"op":"regex","values":["s?h|c.*"]}"#,
    r#"{"left":1,"op":"glob","values":["/*/pass*"]}"#,
    r#"{"left":1,"op":"startswith","values":["/tmp/"]}"#,
    r#"{"left":1,"op":"endswith","values":["shadow"]}"#,
    r#"{"left":1,"op":"=","values":["rel"]}"#,
    r#"{"left":8,"op":">=","values":[0]}"#,
    r#"{"left":8,"op":"=","values":[0]}"#,
    r#"{"left":8,"op":"in","values":[0]}"#,
    r#"{"left":8,"op":"<=","values":[2]}"#,
    r#"{"left":0,"op":"in","values":[]}"#,
];
const OPERANDS: &str = r#"[{"field":{"name":"proc.name"}},{"field":{"name":"fd.name"}},{"field":{"name":"fd.num"}},
    {"field":{"name":"evt.type"}},{"field":{"name":"proc.aname"}},{"field":{"name":"proc.pname"}},
    {"call":{"name":"toupper","args":[0]}},{"field":{"name":"user.uid"}},{"field":{"name":"evt.num"}}]"#;

/// A plan with a rule for each node and its codes.
fn text_of(matching: &str, operands: &str, nodes: &[String], rules: impl Iterator<Item = (usize, Vec<u16>)>) -> String {
    let rules: Vec<String> = rules
        .enumerate()
        .map(|(number, (node, codes))| {
            format!(
                r#"{{"name":"r{number}","source":"syscall","priority":"Debug","tags":[],"output":"","node":{node},"codes":{codes:?},"sha256":""}}"#
            )
        })
        .collect();
    format!(
        r#"{{"format":1,"version":"v","matching":"{matching}","operands":{operands},"nodes":[{}],"rules":[{}]}}"#,
        nodes.join(","),
        rules.join(",")
    )
}

fn a_plan() -> impl Strategy<Value = String> {
    let shape = prop::collection::vec((0..3u8, any::<[prop::sample::Index; 3]>()), 1..24);
    (
        shape,
        prop::collection::vec(any::<prop::sample::Index>(), 1..100),
        any::<bool>(),
    )
        .prop_map(|(shape, roots, all)| {
            let mut nodes: Vec<String> = TESTS.iter().map(|test| format!(r#"{{"test":{test}}}"#)).collect();
            for (kind, picks) in shape {
                let [a, b, c] = picks.map(|pick| pick.index(nodes.len()));
                nodes.push(match kind {
                    0 => format!(r#"{{"all":[{a},{b},{c}]}}"#),
                    1 => format!(r#"{{"any":[{a},{b}]}}"#),
                    _ => format!(r#"{{"not":{a}}}"#),
                });
            }
            let codes: Vec<u16> = [EventKind::Openat, EventKind::Close, EventKind::Execve]
                .map(EventKind::code)
                .to_vec();
            let rules = roots.iter().map(|root| (root.index(nodes.len()), codes.clone()));
            text_of(if all { "all" } else { "first" }, OPERANDS, &nodes, rules)
        })
}

/// Processes and descriptors as a host has them: few, each with the same facts whenever its version is the same.
fn an_event() -> impl Strategy<Value = (u8, u64, u64)> {
    (0..4u8, 0..6u64, 0..6u64)
}

fn literal(kind: u8, process: u64, fd: u64) -> Literal {
    let text = |text: &str| Value::Owned(text.as_bytes().to_vec());
    let names = ["sh", "cat", "bash", "", "shh", "h"];
    let paths = ["/etc/passwd", "/etc/shadow", "/tmp/a/x/y", "rel", "/", "/etcetera/pass"];
    let kinds = [EventKind::Openat, EventKind::Close, EventKind::Execve, EventKind::Chdir];
    let mut event = Literal::new(kinds[usize::from(kind)]);
    event
        .values
        .push((Field::EvtNum, FieldArg::None, Value::Uint(process + 1)));
    if process < 5 {
        let name = names[process as usize];
        event.process_version = Some((process * 4096 + 1, 0));
        event.values.extend([
            (Field::ProcName, FieldArg::None, text(name)),
            (
                Field::ProcPname,
                FieldArg::None,
                text(names[(process as usize * 2) % 6]),
            ),
            (
                Field::ProcAname,
                FieldArg::None,
                Value::List(names[..process as usize].iter().map(|name| text(name)).collect()),
            ),
            (Field::UserUid, FieldArg::None, Value::Uint(process * 300)),
        ]);
    }
    if fd < 5 {
        event.fd_version = Some((fd + 1, 0));
        event
            .values
            .push((Field::FdName, FieldArg::None, text(paths[fd as usize])));
        event.values.push((Field::FdNum, FieldArg::None, Value::Int(fd as i64)));
    }
    event
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_graph_says_what_a_plain_evaluator_says(plan in a_plan(), events in prop::collection::vec(an_event(), 1..40)) {
        let mut rules = RuleSet::new(&plan).unwrap();
        let plain = Plain::new(&plan);
        for (kind, process, fd) in events {
            let event = literal(kind, process, fd);
            let mut found = Vec::new();
            rules.evaluate(&event, &mut found);
            prop_assert_eq!(found, plain.evaluate(&event));
        }
    }

    #[test]
    fn hostile_plans_are_refused_or_harmless(plan in a_plan(), at in any::<prop::sample::Index>(), with in "[0-9\\[\\]{}\":,a-z-]{0,4}") {
        let mut bytes = plan.into_bytes();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        if let Ok(mut rules) = RuleSet::new(&String::from_utf8(bytes).unwrap()) {
            let mut found = Vec::new();
            rules.evaluate(&literal(0, 1, 1), &mut found);
        }
    }
}

#[test]
fn each_way_to_point_nowhere_is_refused() {
    let plan = |operands: &str, nodes: &str, rule: &str| {
        format!(r#"{{"format":1,"version":"","operands":[{operands}],"nodes":[{nodes}],"rules":[{rule}]}}"#)
    };
    let name = r#"{"field":{"name":"proc.name"}}"#;
    let test = r#"{"test":{"left":0,"op":"exists"}}"#;
    let rule = |node: usize, code: u16, output: &str| {
        format!(
            r#"{{"name":"","source":"","priority":"","tags":[],"output":"{output}","node":{node},"codes":[{code}],"sha256":""}}"#
        )
    };
    assert!(RuleSet::new(&plan(name, test, &rule(0, 5, "%proc.name"))).is_ok());
    let doubling: Vec<String> = (0..40)
        .map(|row| format!(r#"{{"call":{{"name":"concat","args":[{row},{row}]}}}}"#))
        .collect();
    for bad in [
        plan(name, test, &rule(1, 5, "")),
        plan(name, test, &rule(0, 6, "")),
        plan(name, test, &rule(0, 5, "%nothing")),
        plan("", test, ""),
        plan(name, r#"{"not":0}"#, ""),
        plan(name, r#"{"all":[1]},{"any":[0]}"#, ""),
        plan(r#"{"list":[0]}"#, "", ""),
        plan(r#"{"field":{"name":"proc.nmae"}}"#, "", ""),
        plan(r#"{"field":{"name":"proc.name","index":1}}"#, "", ""),
        plan(r#"{"field":{"name":"evt.arg"}}"#, "", ""),
        plan(name, r#"{"test":{"left":0,"op":"~","values":["a"]}}"#, ""),
        plan(name, r#"{"test":{"left":0,"op":"=","values":[]}}"#, ""),
        plan(name, r#"{"test":{"left":0,"op":"=","values":[1]}}"#, ""),
        plan(name, r#"{"test":{"left":0,"op":"regex","values":["("]}}"#, ""),
        plan(name, r#"{"test":{"left":0,"op":"=","values":[{"hex":"0g"}]}}"#, ""),
        plan(&format!("{name},{}", doubling.join(",")), "", ""),
        plan(
            name,
            &format!(
                "{test},{}",
                (0..3000)
                    .map(|n| format!(r#"{{"not":{n}}}"#))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            "",
        ),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        r#"{"format":2,"version":"","operands":[],"nodes":[],"rules":[]}"#.to_owned(),
    ] {
        assert!(RuleSet::new(&bad).is_err(), "{}", &bad[..bad.len().min(200)]);
    }
}

/// A test of a random field on what hosts in tests have.
fn a_live_test() -> impl Strategy<Value = String> {
    // Number of the operand, and its kind: text, number, list, truth, type.
    let operand = 0..LIVE.len();
    let words = [
        "sh",
        "bash",
        "SSHD",
        "cat",
        "",
        "s",
        "h",
        "/",
        "/etc",
        "/etc/passwd",
        "passwd",
        "rel",
        "/a/",
        "/tmp",
        "init",
        "-c",
        "x",
        "é",
        "host",
        "box",
        "27794335214c",
        "sh -c",
        "bash x y",
        "write",
        "openat",
        "10.0.0.1:80",
        "*sh",
        "/*/pass*",
        "[a-s]*",
        "x y",
        "x\u{0}",
        "ssssssssss",
        "10.0.0.",
    ];
    let ops = [
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "contains",
        "icontains",
        "startswith",
        "endswith",
        "glob",
        "iglob",
        "regex",
        "in",
        "intersects",
        "pmatch",
        "exists",
        "anyof",
        "allof",
        "oneof",
    ];
    let word = prop::sample::select(words.to_vec());
    (
        operand,
        prop::sample::select(ops.to_vec()),
        prop::collection::vec(word, 0..12),
        any::<u8>(),
    )
        .prop_map(|(left, op, words, how)| {
            let kind = LIVE[left].1;
            if op == "exists" {
                return format!(r#"{{"test":{{"left":{left},"op":"exists"}}}}"#);
            }
            if kind == 'n' {
                let number = [0, 1, 3, 5, 10, 12, 500, -1][usize::from(how % 8)];
                return match op {
                    "=" | "!=" | "<" | "<=" | ">" | ">=" => {
                        format!(r#"{{"test":{{"left":{left},"op":"{op}","values":[{number}]}}}}"#)
                    }
                    _ => format!(
                        r#"{{"test":{{"left":{left},"op":"in","values":[{number},{}]}}}}"#,
                        how % 4
                    ),
                };
            }
            let quoted: Vec<String> = words.iter().map(|word| serde_json::to_string(word).unwrap()).collect();
            let all = quoted.join(",");
            let first = quoted.first().map_or("\"sh\"", |word| word);
            match op {
                "in" | "intersects" | "pmatch" => {
                    format!(r#"{{"test":{{"left":{left},"op":"{op}","values":[{all}]}}}}"#)
                }
                "anyof" | "allof" | "oneof" => {
                    let inner =
                        ["=", "contains", "startswith", "endswith", "icontains", "glob", "!="][usize::from(how % 7)];
                    format!(r#"{{"test":{{"left":{left},"op":"{inner}","modifier":"{op}","values":[{all}]}}}}"#)
                }
                "regex" => format!(r#"{{"test":{{"left":{left},"op":"regex","values":["[a-c].*|.*sh"]}}}}"#),
                _ if how % 11 == 0 => format!(
                    r#"{{"test":{{"left":{left},"op":"=","right":{}}}}}"#,
                    usize::from(how) % TEXTS
                ),
                _ => format!(r#"{{"test":{{"left":{left},"op":"{op}","values":[{first}]}}}}"#),
            }
        })
}

/// Texts first: any of them may be compared with any.
const TEXTS: usize = 24;
const LIVE: &[(&str, char)] = &[
    (r#"{"field":{"name":"proc.name"}}"#, 't'),
    (r#"{"field":{"name":"proc.pname"}}"#, 't'),
    (r#"{"field":{"name":"proc.aname","index":2}}"#, 't'),
    (r#"{"field":{"name":"proc.exe"}}"#, 't'),
    (r#"{"field":{"name":"proc.exepath"}}"#, 't'),
    (r#"{"field":{"name":"proc.cmdline"}}"#, 't'),
    (r#"{"field":{"name":"proc.args"}}"#, 't'),
    (r#"{"field":{"name":"proc.pcmdline"}}"#, 't'),
    (r#"{"field":{"name":"proc.cwd"}}"#, 't'),
    (r#"{"field":{"name":"user.name"}}"#, 't'),
    (r#"{"field":{"name":"container.id"}}"#, 't'),
    (r#"{"field":{"name":"container.name"}}"#, 't'),
    (r#"{"field":{"name":"fd.name"}}"#, 't'),
    (r#"{"field":{"name":"fd.directory"}}"#, 't'),
    (r#"{"field":{"name":"fd.filename"}}"#, 't'),
    (r#"{"field":{"name":"fd.typechar"}}"#, 't'),
    (r#"{"field":{"name":"evt.args"}}"#, 't'),
    (r#"{"field":{"name":"evt.arg","key":"res"}}"#, 't'),
    (r#"{"field":{"name":"fs.path.name"}}"#, 't'),
    (r#"{"call":{"name":"toupper","args":[0]}}"#, 't'),
    (r#"{"call":{"name":"basename","args":[12]}}"#, 't'),
    (r#"{"call":{"name":"concat","args":[0,12]}}"#, 't'),
    (r#"{"field":{"name":"proc.exeline"}}"#, 't'),
    (r#"{"field":{"name":"k8s.pod.name"}}"#, 't'),
    (r#"{"field":{"name":"evt.type"}}"#, 't'),
    (r#"{"field":{"name":"proc.aname"}}"#, 't'),
    (r#"{"field":{"name":"proc.aexepath"}}"#, 't'),
    (r#"{"field":{"name":"proc.acmdline"}}"#, 't'),
    (r#"{"field":{"name":"syscall.type"}}"#, 't'),
    (r#"{"field":{"name":"fd.num"}}"#, 'n'),
    (r#"{"field":{"name":"proc.pid"}}"#, 'n'),
    (r#"{"field":{"name":"proc.ppid"}}"#, 'n'),
    (r#"{"field":{"name":"proc.apid"}}"#, 'n'),
    (r#"{"field":{"name":"user.uid"}}"#, 'n'),
    (r#"{"field":{"name":"evt.rawres"}}"#, 'n'),
    (r#"{"field":{"name":"fd.sport"}}"#, 'n'),
    (r#"{"field":{"name":"fd.port"}}"#, 'n'),
    (r#"{"field":{"name":"evt.num"}}"#, 'n'),
    (r#"{"field":{"name":"proc.sid"}}"#, 'n'),
];

fn a_live_plan() -> impl Strategy<Value = String> {
    let shape = prop::collection::vec((0..4u8, any::<[prop::sample::Index; 4]>()), 1..60);
    let tests = prop::collection::vec(a_live_test(), 1..60);
    let roots = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..150);
    (tests, shape, roots, any::<bool>()).prop_map(|(mut nodes, shape, roots, all)| {
        for (kind, picks) in shape {
            let [a, b, c, d] = picks.map(|pick| pick.index(nodes.len()));
            nodes.push(match kind {
                0 => format!(r#"{{"all":[{a},{b},{c}]}}"#),
                1 => format!(r#"{{"any":[{a},{b},{c},{d}]}}"#),
                2 => format!(r#"{{"all":[{a},{b}]}}"#),
                _ => format!(r#"{{"not":{a}}}"#),
            });
        }
        let codes = |some: u8| {
            crate::generated::events::KINDS
                .into_iter()
                .filter(|kind| {
                    !some.is_multiple_of(3) || (*kind as u16) % 2 == u16::from(some % 2) || *kind == EventKind::Write
                })
                .map(EventKind::code)
                .collect()
        };
        let rules = roots.iter().map(|(root, some)| (root.index(nodes.len()), codes(*some)));
        let operands: Vec<&str> = LIVE.iter().map(|(operand, _)| *operand).collect();
        let operands = format!("[{}]", operands.join(","));
        text_of(if all { "all" } else { "first" }, &operands, &nodes, rules)
    })
}

#[test]
fn live_processes_are_judged_as_a_plain_evaluator_does() {
    use crate::{
        event::Batch,
        host::Host,
        state::{
            Limits,
            tests_acts::{Act, acts},
            tests_events::snapshot,
        },
    };
    let cases = std::env::var("CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(50);
    let story = prop::collection::vec(any::<Act>(), 1..25);
    proptest!(ProptestConfig::with_cases(cases), |(plan in a_live_plan(), story in story)| {
        let mut rules = RuleSet::new(&plan).unwrap();
        let plain = Plain::new(&plan);
        let mut host = Host::new(Limits::default());
        let mut batch = Batch::new();
        snapshot(&mut batch, 1, 1, 0, "init");
        snapshot(&mut batch, 5, 5, 1, "sshd");
        snapshot(&mut batch, 10, 10, 5, "bash");
        acts(&mut batch, 10, &story);
        let mut wrong = None;
        host.each(&batch, "box", |view| {
            let mut found = Vec::new();
            rules.evaluate(view, &mut found);
            let wanted = plain.evaluate(view);
            if found != wanted && wrong.is_none() {
                wrong = Some((view.number, view.kind(), found, wanted));
            }
        });
        prop_assert_eq!(wrong, None);
    });
}

#[test]
fn a_test_that_never_holds_is_not_counted_as_one_that_did() {
    let globs = ["/etc/p*x", "/etc/pa*x", "/etc/pas*x"];
    let nodes = globs.map(|glob| format!(r#"{{"test":{{"left":0,"op":"glob","values":["{glob}"]}}}}"#));
    let rules = (0..3).map(|node| (node, vec![EventKind::Openat.code()]));
    let plan = text_of("all", r#"[{"field":{"name":"fd.name"}}]"#, &nodes, rules);
    let mut rules = RuleSet::new(&plan).unwrap();
    rules.measure();
    let mut event = Literal::new(EventKind::Openat);
    event
        .values
        .push((Field::FdName, FieldArg::None, Value::Owned(b"/etc/passwd".to_vec())));
    rules.evaluate(&event, &mut Vec::new());
    let counts: Vec<(u64, u64)> = rules
        .profile()
        .unwrap()
        .tests
        .iter()
        .map(|count| (count.times, count.held))
        .collect();
    assert_eq!(counts, [(1, 0); 3]);
}
