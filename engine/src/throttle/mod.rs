//! Noise control: of the alerts that a rule gives for the same key within a while the first few pass, the others are counted.
//!
//! What must hold, whatever comes: alerts that passed, and the counts that alerts carry, add up to the matches. A count is carried
//! by the next alert of its key once its window has ended, and told by a summary if another event comes first; a window that
//! must go earlier (its table is full, its rule is gone, the host is) tells its count at once. Time is that of events alone.

mod saved;
mod windows;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::facts::{Alert, BatchHeader, Origin, OutputValue};
use crate::format;
use crate::host::Rules;
use crate::predicate::{
    alert_id,
    operand::Operand,
    plan::{PlanError, ThrottleRow, invalid},
};
use crate::state::Limits;
use crate::value::Facts;
use windows::{Window, Windows};

/// Bytes of a key that one field may give: of a longer text the beginning and its digest stand for it.
const MAX_TEXT: usize = 256;
const MAX_FIELDS: usize = 16;
const SECOND: u64 = 1_000_000_000;

/// How many alerts of a rule pass: in a window of `every` ns the first `burst` of each combination of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    pub per: Vec<(String, Operand)>,
    pub burst: u32,
    pub every: u64,
}

impl Limit {
    pub fn compile(row: &ThrottleRow) -> Result<Limit, PlanError> {
        if row.burst == 0 || row.every == 0 || row.per.len() > MAX_FIELDS {
            return invalid(format!(
                "a throttle needs burst and every, and at most {MAX_FIELDS} fields"
            ));
        }
        let mut per = Vec::with_capacity(row.per.len());
        for name in &row.per {
            let operand = format::operand(name).map_err(|error| PlanError::Invalid(format!("throttle: {error}")))?;
            per.push((name.clone(), operand));
        }
        Ok(Limit {
            per,
            burst: row.burst,
            every: row.every,
        })
    }
}

/// What a summary says of its rule. Its windows outlive a new set of rules if all of this stays the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub name: String,
    pub source: String,
    pub priority: String,
    pub tags: Vec<String>,
    pub sha256: String,
    pub per: Vec<String>,
    pub burst: u32,
    pub every: u64,
}

/// Of whom, and since where, summaries tell.
#[derive(Clone, Debug, Default, PartialEq)]
struct Teller {
    host_id: String,
    host: String,
    boot_id: String,
    run: u64,
    version: String,
    origin: Origin,
}

/// What becomes of an alert.
enum Admission {
    /// It passes, and carries so many that did not.
    Passes(u64),
    Counted,
}

/// The windows of one host.
#[derive(Debug)]
pub struct Throttle {
    limit: usize,
    teller: Teller,
    /// Rules that have, or had, windows; keys begin with a number of this list.
    rules: Vec<Told>,
    /// For each rule of the set at hand its number in that list, plus one.
    slots: Vec<u32>,
    /// Whether `slots` are those of the set whose version the teller names.
    bound: bool,
    windows: Windows,
    pub evicted: u64,
    key: Vec<u8>,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle::new(Limits::DEFAULT.throttled)
    }
}

impl Throttle {
    /// At most `limit` windows.
    pub fn new(limit: usize) -> Throttle {
        Throttle {
            limit: limit.max(1),
            teller: Teller::default(),
            rules: Vec::new(),
            slots: Vec::new(),
            bound: false,
            windows: Windows::default(),
            evicted: 0,
            key: Vec::new(),
        }
    }

    /// Windows that are open.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.windows.len() == 0
    }

    /// A batch begins, perhaps of another run or under another set of rules: counts that this ends are told.
    pub fn begin<R: Rules>(
        &mut self,
        header: &BatchHeader,
        time: u64,
        rules: Option<&R>,
        origin: Origin,
        out: &mut Vec<Alert>,
    ) {
        self.teller.origin = origin;
        let teller = &self.teller;
        if (&teller.host_id, &teller.boot_id, teller.run) != (&header.host_id, &header.boot_id, header.run) {
            self.flush(time, out);
        }
        let version = rules.map_or("", R::version);
        if !self.bound || self.teller.version != version {
            self.bind(rules, time, out);
            version.clone_into(&mut self.teller.version);
        }
        let teller = &mut self.teller;
        header.host_id.clone_into(&mut teller.host_id);
        header.host.clone_into(&mut teller.host);
        header.boot_id.clone_into(&mut teller.boot_id);
        teller.run = header.run;
    }

    /// Windows of rules that are the same in this set stay; the others tell their counts.
    fn bind<R: Rules>(&mut self, rules: Option<&R>, time: u64, out: &mut Vec<Alert>) {
        let count = rules.map_or(0, R::count);
        self.bound = true;
        self.slots = vec![0; count as usize];
        let mut known: HashMap<String, u32> = HashMap::new();
        if let Some(rules) = rules.filter(|_| !self.is_empty()) {
            for rule in (0..count).filter(|rule| rules.limit(*rule).is_some()) {
                known.insert(rules.told(rule).sha256, rule);
            }
        }
        let mut kept: Vec<Told> = Vec::new();
        let mut moved: HashMap<u32, Option<u32>> = HashMap::new();
        for (mut key, window) in self.windows.take() {
            let slot = slot_of(&key);
            let to = *moved.entry(slot).or_insert_with(|| {
                let told = &self.rules[slot as usize];
                let rule = *known.get(&told.sha256)?;
                (rules?.told(rule) == *told).then(|| {
                    kept.push(told.clone());
                    self.slots[rule as usize] = kept.len() as u32;
                    kept.len() as u32 - 1
                })
            });
            match to {
                Some(to) => {
                    key[..4].copy_from_slice(&to.to_le_bytes());
                    self.windows.open(key, window);
                }
                None => self.tell(&key, &window, time, out),
            }
        }
        self.rules = kept;
    }

    /// The alerts of rules that matched event `at` (number, time, origin), as far as they pass. [`Throttle::pass`] comes next.
    pub fn alert<R: Rules, F: Facts>(
        &mut self,
        rules: &R,
        matched: &[u32],
        facts: &F,
        header: &BatchHeader,
        at: (u64, u64, Origin),
        out: &mut Vec<Alert>,
    ) {
        let (seq, time, origin) = at;
        for &rule in matched {
            let admission = match rules.limit(rule) {
                Some(limit) => self.admit(rules, rule, limit, facts, (seq, time), out),
                None => Admission::Passes(0),
            };
            if let Admission::Passes(suppressed) = admission {
                let mut alert = rules.alert(rule, facts, header, seq, time, origin);
                alert.suppressed = suppressed;
                out.push(alert);
            }
        }
    }

    /// What becomes of the alert of a rule on this event. `out` gets what had to go for it.
    fn admit<R: Rules, F: Facts>(
        &mut self,
        rules: &R,
        rule: u32,
        limit: &Limit,
        facts: &F,
        event: (u64, u64),
        out: &mut Vec<Alert>,
    ) -> Admission {
        let (seq, time) = event;
        let slot = self.slot(rules, rule);
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&slot.to_le_bytes());
        for (_, operand) in &limit.per {
            push_text(operand, facts, &mut key);
        }
        let found = self.windows.count(&key, limit.burst, seq, time);
        let admission = match found {
            Some(windows::Count::Within) => Admission::Passes(0),
            Some(windows::Count::Beyond) => Admission::Counted,
            Some(windows::Count::Ended(suppressed)) => Admission::Passes(suppressed),
            None => {
                while self.windows.len() >= self.limit
                    && let Some((key, window)) = self.windows.pop_first()
                {
                    self.evicted += 1;
                    self.tell(&key, &window, time, out);
                }
                let values = limit.per.iter().map(|(_, operand)| value(operand, facts)).collect();
                self.windows.open(key.clone(), Window::new(time, limit.every, values));
                Admission::Passes(0)
            }
        };
        self.key = key;
        admission
    }

    fn slot<R: Rules>(&mut self, rules: &R, rule: u32) -> u32 {
        if self.slots.len() <= rule as usize {
            self.slots.resize(rule as usize + 1, 0);
        }
        let slot = &mut self.slots[rule as usize];
        if *slot == 0 {
            self.rules.push(rules.told(rule));
            *slot = self.rules.len() as u32;
        }
        *slot - 1
    }

    /// Tell the counts of windows that have ended at this time: cheap where none has.
    pub fn pass(&mut self, time: u64, out: &mut Vec<Alert>) {
        while let Some((key, window)) = self.windows.pop_ended(time) {
            self.tell(&key, &window, time, out);
        }
    }

    /// Tell all counts: what comes next is another run, or nothing.
    pub fn flush(&mut self, time: u64, out: &mut Vec<Alert>) {
        for (key, window) in self.windows.take() {
            self.tell(&key, &window, time, out);
        }
    }

    /// The summary of a window, if it has something to tell. `time` is that of the event with which it went.
    fn tell(&self, key: &[u8], window: &Window, time: u64, out: &mut Vec<Alert>) {
        if window.suppressed == 0 {
            return;
        }
        let (rule, teller) = (&self.rules[slot_of(key) as usize], &self.teller);
        let (seq, last) = window.last;
        let mut message = format!(
            "{} more alerts of this rule suppressed in {}: rule={}",
            window.suppressed,
            seconds(rule.every),
            rule.name
        );
        let mut output_fields = vec![("evt.time".to_owned(), OutputValue::Int(last as i64))];
        for (name, value) in rule.per.iter().zip(&window.values) {
            message += &format!(" {name}={}", shown(value));
            output_fields.push((name.clone(), value.clone()));
        }
        // The event has an alert of its own only where it passed, which the last one suppressed did not.
        let name = format!("{} (summary)", rule.name);
        out.push(Alert {
            id: alert_id(&name, &rule.sha256, &teller.host_id, &teller.boot_id, seq),
            time,
            rule: rule.name.clone(),
            priority: rule.priority.clone(),
            source: rule.source.clone(),
            hostname: teller.host.clone(),
            host_id: teller.host_id.clone(),
            boot_id: teller.boot_id.clone(),
            seq,
            message,
            tags: rule.tags.clone(),
            output_fields,
            rules_version: teller.version.clone(),
            rule_sha256: rule.sha256.clone(),
            origin: teller.origin,
            suppressed: window.suppressed,
            summary: true,
        });
    }
}

fn slot_of(key: &[u8]) -> u32 {
    key.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Length and text of a field's value, as an output shows it.
fn push_text<F: Facts>(operand: &Operand, facts: &F, key: &mut Vec<u8>) {
    let start = key.len();
    key.extend_from_slice(&[0; 2]);
    format::write_text(operand, &operand.value(facts), key);
    if key.len() - start - 2 > MAX_TEXT {
        let text = shortened(&key[start + 2..]);
        key.truncate(start + 2);
        key.extend_from_slice(&text);
    }
    let length = (key.len() - start - 2) as u16;
    key[start..start + 2].copy_from_slice(&length.to_le_bytes());
}

/// The beginning of a text and its digest, [`MAX_TEXT`] bytes together.
fn shortened(text: &[u8]) -> Vec<u8> {
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut out = text[..MAX_TEXT - digest.len() - 4].to_vec();
    out.extend_from_slice(b"... ");
    out.extend_from_slice(digest.as_bytes());
    out
}

/// The value as a summary's output_fields have it.
fn value<F: Facts>(operand: &Operand, facts: &F) -> OutputValue {
    let text = format::text(operand, &operand.value(facts));
    if text.len() > MAX_TEXT {
        return OutputValue::Text(String::from_utf8_lossy(&shortened(&text)).into_owned());
    }
    format::field_json(operand, facts)
}

fn shown(value: &OutputValue) -> String {
    match value {
        OutputValue::Null => "<NA>".to_owned(),
        OutputValue::Bool(flag) => flag.to_string(),
        OutputValue::Int(number) => number.to_string(),
        OutputValue::Double(number) => format!("{number:.1}"),
        OutputValue::Text(text) => text.clone(),
        OutputValue::List(items) => format!("({})", items.join(",")),
    }
}

/// A span as seconds: `60 s`, `0.5 s`.
fn seconds(ns: u64) -> String {
    let fraction = format!("{:09}", ns % SECOND);
    match fraction.trim_end_matches('0') {
        "" => format!("{} s", ns / SECOND),
        digits => format!("{}.{digits} s", ns / SECOND),
    }
}

#[cfg(test)]
pub(crate) mod tests;
