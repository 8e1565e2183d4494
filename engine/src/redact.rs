//! Takes out of a batch what must not leave its host: values of environment variables, payloads, secrets in arguments.

use std::borrow::Cow;

use memchr::memchr;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::{
    event::Batch,
    generated::events::{EVENT_COUNT, EVENTS, EventKind},
    table::ParamType,
};

/// Stands where something was.
pub const MARK: &[u8] = b"***";

const REGEX_BYTES: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Environment,
    Arguments,
    Payload,
}

/// How much was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Values of environment variables.
    pub env: u64,
    /// Payloads that had bytes.
    pub payloads: u64,
    /// Places in command lines.
    pub args: u64,
}

/// What stays. Names of variables may have `*` for any text.
pub struct Policy {
    /// By kind, the parameters to look at.
    acts: Vec<Vec<(usize, Act)>>,
    env: Vec<String>,
    any: RegexSet,
    patterns: Vec<Regex>,
}

/// What a kind's parameters ask for, whatever is listed.
fn acts_of(kind: usize) -> Vec<(usize, Act)> {
    let info = &EVENTS[kind];
    let act = |name: &str, kind: ParamType| match (name, kind) {
        ("env", ParamType::Bytebuf | ParamType::Charbufarray) => Some(Act::Environment),
        ("args" | "argv", ParamType::Bytebuf | ParamType::Charbufarray) => Some(Act::Arguments),
        ("data" | "img" | "value_bytebuf", ParamType::Bytebuf) => Some(Act::Payload),
        _ => None,
    };
    let found = info.params.iter().enumerate();
    found
        .filter_map(|(index, param)| Some((index, act(param.name, param.kind)?)))
        .collect()
}

/// Names of the events that carry payloads.
pub fn with_payloads() -> impl Iterator<Item = &'static str> {
    (0..EVENT_COUNT)
        .filter(|&kind| carries_payload(kind))
        .map(|kind| EVENTS[kind].name)
}

fn carries_payload(kind: usize) -> bool {
    acts_of(kind).iter().any(|&(_, act)| act == Act::Payload) && of_the_kernel(kind)
}

/// What plugins and the host itself tell is no payload of a call.
fn of_the_kernel(kind: usize) -> bool {
    EventKind::from_code(EVENTS[kind].code).is_some_and(EventKind::is_kernel)
}

impl Policy {
    /// `env`: names of variables whose values stay; `payloads`: events whose payloads stay, or `all`; `patterns`: what
    /// is secret in command lines, where arguments end with a NUL: the first group of each, or all of it.
    pub fn new(env: Vec<String>, payloads: &[String], patterns: &[String]) -> Result<Policy, String> {
        if let Some(name) = payloads
            .iter()
            .find(|&name| name != "all" && !with_payloads().any(|event| event == name))
        {
            return Err(format!("no event with a payload is called {name}"));
        }
        let patterns = patterns
            .iter()
            .map(|pattern| {
                let regex = RegexBuilder::new(pattern)
                    .unicode(false)
                    .size_limit(REGEX_BYTES)
                    .build();
                let regex = regex.map_err(|error| format!("{pattern}: {}", last_line(&error)))?;
                if regex.is_match(b"") {
                    return Err(format!("{pattern}: matches the empty text"));
                }
                Ok(regex)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let any = RegexSetBuilder::new(patterns.iter().map(Regex::as_str))
            .unicode(false)
            .size_limit(REGEX_BYTES * 4)
            .build()
            .map_err(|error| last_line(&error))?;
        let stays = |kind: usize| payloads.iter().any(|name| name == "all" || name == EVENTS[kind].name);
        let acts = (0..EVENT_COUNT)
            .map(|kind| {
                let mut acts = acts_of(kind);
                acts.retain(|&(_, act)| match act {
                    Act::Payload => of_the_kernel(kind) && !stays(kind),
                    Act::Arguments => !patterns.is_empty(),
                    Act::Environment => !env.iter().any(|name| name == "*"),
                });
                acts
            })
            .collect();
        Ok(Policy {
            acts,
            env,
            any,
            patterns,
        })
    }

    /// The parameter as it may leave, if that is something else.
    fn apply(&self, act: Act, bytes: &[u8], counts: &mut Counts) -> Option<Vec<u8>> {
        if bytes.is_empty() {
            return None;
        }
        match act {
            Act::Payload => {
                counts.payloads += 1;
                Some(Vec::new())
            }
            Act::Environment => self.environment(bytes, counts),
            Act::Arguments => self.arguments(bytes, counts),
        }
    }

    fn environment(&self, bytes: &[u8], counts: &mut Counts) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut taken = 0;
        for entry in bytes.split_inclusive(|&byte| byte == 0) {
            let text = entry.strip_suffix(b"\0").unwrap_or(entry);
            // What has no name is all value.
            let (name, value) = memchr(b'=', text).map_or((&[][..], text), |at| text.split_at(at + 1));
            let known = name.strip_suffix(b"=").is_some_and(|name| self.keeps(name));
            if known || value.is_empty() {
                out.extend_from_slice(entry);
                continue;
            }
            taken += 1;
            out.extend_from_slice(name);
            out.extend_from_slice(MARK);
            out.extend_from_slice(&entry[text.len()..]);
        }
        counts.env += taken;
        (taken > 0).then_some(out)
    }

    fn keeps(&self, name: &[u8]) -> bool {
        self.env.iter().any(|pattern| like(pattern.as_bytes(), name))
    }

    fn arguments(&self, bytes: &[u8], counts: &mut Counts) -> Option<Vec<u8>> {
        let found = self.any.matches(bytes);
        if !found.matched_any() {
            return None;
        }
        let mut text = Cow::Borrowed(bytes);
        for index in found.iter() {
            let mut out = Vec::with_capacity(text.len());
            let mut done = 0;
            for captures in self.patterns[index].captures_iter(&text) {
                let Some(place) = captures.iter().skip(1).flatten().next().or(captures.get(0)) else {
                    continue;
                };
                if place.as_bytes() == MARK || place.is_empty() {
                    continue;
                }
                counts.args += 1;
                out.extend_from_slice(&text[done..place.start()]);
                out.extend_from_slice(MARK);
                done = place.end();
            }
            if done > 0 {
                out.extend_from_slice(&text[done..]);
                text = Cow::Owned(out);
            }
        }
        match text {
            Cow::Owned(text) => Some(text),
            Cow::Borrowed(_) => None,
        }
    }
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().to_owned()
}

/// Whether a text is one that a pattern with `*` means.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|&byte| byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = memchr::memmem::find(rest, part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Make a batch what may leave its host.
pub fn redact(batch: &mut Batch, policy: &Policy) -> Counts {
    let mut counts = Counts::default();
    batch.rewrite(
        |kind| policy.acts[kind as usize].as_slice(),
        |act, bytes| policy.apply(act, bytes, &mut counts),
    );
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn one(kind: EventKind, name: &str, bytes: &[u8], policy: &Policy) -> (Vec<u8>, Counts) {
        let at = kind.info().params.iter().position(|param| param.name == name).unwrap();
        let mut batch = Batch::new();
        let params = vec![&b"12345678"[..]; at];
        batch.push(1, 2, 0, EventKind::Chdir, [&b"12345678"[..], b"/a\0"]);
        batch.push(1, 2, 0, kind, params.into_iter().chain([bytes, b"after"]));
        batch.push(3, 2, 0, EventKind::Chdir, [&b"12345678"[..], b"/b\0"]);
        let counts = redact(&mut batch, policy);
        assert_eq!(batch.get(0).text(1), Some(&b"/a"[..]));
        assert_eq!(batch.get(2).text(1), Some(&b"/b"[..]));
        assert_eq!(batch.get(1).param(at + 1), Some(&b"after"[..]));
        assert_eq!(batch.get(1).size(), at * 8 + batch.get(1).param(at).unwrap().len() + 5);
        (batch.get(1).param(at).unwrap().to_vec(), counts)
    }

    #[test]
    fn values_go_and_names_stay() {
        let policy = Policy::new(words(&["LD_*", "HOME"]), &[], &[]).unwrap();
        let env = b"HOME=/root\0TOKEN=abc\0LD_PRELOAD=/x.so\0EMPTY=\0odd\0=x\0CUT=ab";
        let (left, counts) = one(EventKind::Execve, "env", env, &policy);
        assert_eq!(
            left,
            b"HOME=/root\0TOKEN=***\0LD_PRELOAD=/x.so\0EMPTY=\0***\0=***\0CUT=***"
        );
        assert_eq!(counts.env, 4);
    }

    #[test]
    fn payloads_go_unless_they_are_listed() {
        let policy = Policy::new(vec![], &words(&["write"]), &[]).unwrap();
        assert_eq!(one(EventKind::Write, "data", b"secret", &policy).0, b"secret");
        let (left, counts) = one(EventKind::Read, "data", b"secret", &policy);
        assert_eq!((left, counts.payloads), (vec![], 1));
        let all = Policy::new(vec![], &words(&["all"]), &[]).unwrap();
        assert_eq!(one(EventKind::Read, "data", b"secret", &all).1, Counts::default());
        assert!(Policy::new(vec![], &words(&["close"]), &[]).is_err());
    }

    #[test]
    fn secrets_of_command_lines_go() {
        let patterns = words(&[r"--password[=\x00]([^\x00]+)", r"key-[0-9]+"]);
        let policy = Policy::new(vec![], &[], &patterns).unwrap();
        let line = b"-v\0--password=abc\0--password\0def\0key-12 key-3\0";
        let (left, counts) = one(EventKind::Execve, "args", line, &policy);
        assert_eq!(left, b"-v\0--password=***\0--password\0***\0*** ***\0");
        assert_eq!(counts.args, 4);
        assert_eq!(one(EventKind::Execve, "args", b"-v\0", &policy).1, Counts::default());
    }

    #[test]
    fn faults_are_one_line() {
        for pattern in ["(", "a*", "(a{1000}){1000}"] {
            let error = Policy::new(vec![], &[], &words(&[pattern])).err().unwrap();
            assert!(!error.contains('\n') && error.starts_with(pattern), "{error}");
        }
    }

    #[test]
    fn names_with_stars() {
        assert!(like(b"A*C", b"ABC") && like(b"A*C", b"AC") && like(b"*", b"") && like(b"*B*", b"ABC"));
        assert!(!like(b"A*C", b"A") && !like(b"AB", b"ABC") && !like(b"A*B*C", b"AC") && !like(b"AB*BC", b"ABC"));
    }
}
