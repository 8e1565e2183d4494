//! One host: raw batches in; enriched events and alerts out, in order.

use std::collections::HashMap;

use crate::enrich::Builder;
use crate::event::{Batch, Event};
use crate::facts::{Alert, BatchHeader, Enriched, Origin};
use crate::fields::EventView;
use crate::generated::events::EventKind;
use crate::predicate::RuleSet;
use crate::state::saved::{self, Reader, Saved, Writer};
use crate::state::{Limits, Seen, State};
use crate::table::Source;
use crate::throttle::{Limit, Throttle, Told};
use crate::value::Facts;

/// What a host asks of a set of rules.
pub trait Rules {
    /// Whether any may match an event of this kind.
    fn concerns(&self, kind: EventKind) -> bool;

    /// Append the rules that match.
    fn evaluate<F: Facts>(&mut self, facts: &F, matched: &mut Vec<u32>);

    fn name(&self, rule: u32) -> &str;

    /// How often a rule may alert; none: always.
    fn limit(&self, _: u32) -> Option<&Limit> {
        None
    }

    /// What a summary says of a rule.
    fn told(&self, _: u32) -> Told {
        Told::default()
    }

    /// How many rules there are, and which set of them it is.
    fn count(&self) -> u32 {
        0
    }

    fn version(&self) -> &str {
        ""
    }

    /// The alert of a rule on event `seq`.
    fn alert<F: Facts>(&self, rule: u32, facts: &F, header: &BatchHeader, seq: u64, time: u64, origin: Origin)
    -> Alert;
}

impl Rules for RuleSet {
    fn concerns(&self, kind: EventKind) -> bool {
        RuleSet::concerns(self, kind)
    }

    fn evaluate<F: Facts>(&mut self, facts: &F, matched: &mut Vec<u32>) {
        RuleSet::evaluate(self, facts, matched);
    }

    fn name(&self, rule: u32) -> &str {
        &self.rules()[rule as usize].name
    }

    fn limit(&self, rule: u32) -> Option<&Limit> {
        self.rules()[rule as usize].throttle.as_ref()
    }

    fn told(&self, rule: u32) -> Told {
        RuleSet::told(self, rule)
    }

    fn count(&self) -> u32 {
        self.rules().len() as u32
    }

    fn version(&self) -> &str {
        RuleSet::version(self)
    }

    fn alert<F: Facts>(
        &self,
        rule: u32,
        facts: &F,
        header: &BatchHeader,
        seq: u64,
        time: u64,
        origin: Origin,
    ) -> Alert {
        RuleSet::alert(self, rule, facts, header, seq, time, origin)
    }
}

/// No rules.
impl Rules for () {
    fn concerns(&self, _: EventKind) -> bool {
        false
    }

    fn evaluate<F: Facts>(&mut self, _: &F, _: &mut Vec<u32>) {}

    fn name(&self, _: u32) -> &str {
        ""
    }

    fn alert<F: Facts>(&self, _: u32, _: &F, _: &BatchHeader, _: u64, _: u64, _: Origin) -> Alert {
        Alert::default()
    }
}

/// Everything the engine knows of one host.
#[derive(Debug, Default)]
pub struct Host {
    pub state: State,
    builder: Builder,
    throttle: Throttle,
    /// Boot and run whose events the state stands for.
    boot_id: String,
    run: u64,
    hostname: String,
    first_ts: Option<u64>,
    /// Events of a capture so far.
    replayed: u64,
    matched: Vec<u32>,
}

impl Host {
    pub fn new(limits: Limits) -> Host {
        Host {
            state: State::new(limits),
            throttle: Throttle::new(limits.throttled),
            ..Host::default()
        }
    }

    /// One raw batch. A new boot or a new run of the collector begins with a snapshot, and so with an empty state.
    pub fn process<R: Rules>(
        &mut self,
        header: &BatchHeader,
        batch: &Batch,
        mut rules: Option<&mut R>,
        origin: Origin,
    ) -> (Enriched, Vec<Alert>) {
        let mut alerts = Vec::new();
        self.throttle
            .begin(header, header.time, rules.as_deref(), origin, &mut alerts);
        if header.boot_id != self.boot_id || header.run != self.run {
            self.state.clear();
            self.first_ts = None;
            (self.boot_id, self.run) = (header.boot_id.clone(), header.run);
        }
        self.rename(&header.host);
        self.builder.begin(header, batch.len());
        for (index, event) in batch.iter().enumerate() {
            let seq = header.first_seq.wrapping_add(index as u64);
            let seen = self.step(&event, seq);
            if !event.kind().is_kernel() {
                self.builder.told(self.state.containers.take_fresh());
                continue;
            }
            self.matched.clear();
            if let Some(rules) = rules.as_deref_mut().filter(|rules| rules.concerns(event.kind())) {
                let view = view(&self.state, &event, &seen, seq, &self.hostname, self.first_ts);
                rules.evaluate(&view, &mut self.matched);
                let at = (seq, event.ts(), origin);
                self.throttle
                    .alert(rules, &self.matched, &view, header, at, &mut alerts);
            }
            self.throttle.pass(event.ts(), &mut alerts);
            self.builder.add(&mut self.state, &event, &seen, index as u32);
            if let Some(rules) = rules.as_deref() {
                self.builder.matched(self.matched.iter().map(|rule| rules.name(*rule)));
            }
        }
        (self.builder.finish(), alerts)
    }

    /// Events of a capture, numbered from 1 over all its batches: alerts alone.
    pub fn replay<R: Rules>(&mut self, header: &BatchHeader, batch: &Batch, rules: &mut R) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut matched = std::mem::take(&mut self.matched);
        let mut throttle = std::mem::take(&mut self.throttle);
        let origin = Origin::default();
        throttle.begin(header, self.state.times.1, Some(&*rules), origin, &mut alerts);
        self.each(batch, &header.host, |view| {
            if rules.concerns(view.event.kind()) {
                matched.clear();
                rules.evaluate(view, &mut matched);
                let at = (view.number, view.event.ts(), origin);
                throttle.alert(&*rules, &matched, view, header, at, &mut alerts);
            }
            throttle.pass(view.event.ts(), &mut alerts);
        });
        (self.matched, self.throttle) = (matched, throttle);
        alerts
    }

    /// Nothing more comes, or not here: the counts that no alert has carried yet.
    pub fn finish(&mut self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.throttle.flush(self.state.times.1, &mut alerts);
        alerts
    }

    /// Let every event of a capture change the state and show it, as it left it, to `look`.
    pub fn each(&mut self, batch: &Batch, hostname: &str, mut look: impl FnMut(&EventView)) {
        self.rename(hostname);
        if batch.begins_section() {
            self.state.clear();
        }
        for event in batch.iter() {
            // The lists at the start of a capture, users among them, have no time and no number.
            if event.ts() != 0 && event.kind().info().source != Source::Snapshot {
                self.replayed += 1;
            }
            let number = self.replayed;
            let seen = self.step(&event, number);
            if event.kind().is_kernel() && !event.is_hidden() {
                look(&view(&self.state, &event, &seen, number, &self.hostname, self.first_ts));
            }
        }
    }

    fn rename(&mut self, hostname: &str) {
        if self.hostname != hostname {
            hostname.clone_into(&mut self.hostname);
        }
    }

    /// One event's change to the state, and what it was about.
    fn step(&mut self, event: &Event, number: u64) -> Seen {
        if event.kind().is_kernel() {
            self.first_ts.get_or_insert(event.ts());
        }
        self.state.apply(event, number)
    }

    /// The host as bytes, between two batches. What [`Host::load`] makes of them goes on as this one would.
    pub fn save(&self) -> Vec<u8> {
        let Host {
            state,
            builder,
            throttle,
            boot_id,
            run,
            hostname,
            first_ts,
            replayed,
            matched: _,
        } = self;
        let mut out = Writer::default();
        state.save(&mut out);
        builder.save(&mut out);
        boot_id.save(&mut out);
        run.save(&mut out);
        hostname.save(&mut out);
        first_ts.save(&mut out);
        replayed.save(&mut out);
        throttle.save(&mut out);
        saved::seal(&out.bytes)
    }

    /// The host that was saved. Where its tables are larger than `limits` they lose what is worth least, with the next event.
    pub fn load(bytes: &[u8], limits: Limits) -> Result<Host, saved::Error> {
        let (version, body) = saved::unseal(bytes, limits.bytes)?;
        let mut input = Reader::new(version, &body);
        let mut host = Host {
            state: State::load(&mut input, limits)?,
            builder: Saved::load(&mut input)?,
            boot_id: Saved::load(&mut input)?,
            run: Saved::load(&mut input)?,
            hostname: Saved::load(&mut input)?,
            first_ts: Saved::load(&mut input)?,
            replayed: input.count()?,
            throttle: Throttle::new(limits.throttled),
            matched: Vec::new(),
        };
        if version >= 2 {
            host.throttle = Throttle::load(&mut input, limits.throttled)?;
        }
        input.finish()?;
        if !host.builder.has_told(&host.state) {
            return Err(saved::Error::Invalid("it was told in a batch that is yet to come"));
        }
        Ok(host)
    }

    /// Threads, descriptors, users, containers and waiting children that went because a table was full.
    pub fn evicted(&self) -> u64 {
        let (state, counters) = (&self.state, self.state.counters);
        let tables = state.users.evicted() + state.containers.evicted() + state.threads.evicted_orphans;
        counters.evicted_threads + counters.evicted_fds + tables
    }

    /// Sizes, and what limits and holes have cost.
    pub fn counters(&self) -> HashMap<&'static str, u64> {
        let counters = self.state.counters;
        let fds = self.state.threads.iter().map(|thread| thread.fds.len() as u64).sum();
        HashMap::from([
            ("threads", self.state.threads.len() as u64),
            ("fds", fds),
            ("users", self.state.users.len() as u64),
            ("containers", self.state.containers.len() as u64),
            ("evicted_containers", self.state.containers.evicted()),
            ("unreadable_containers", self.state.containers.unreadable),
            ("unknown_threads", counters.unknown_threads),
            ("reused_threads", counters.reused_threads),
            ("orphans", self.state.threads.orphaned() as u64),
            ("bytes", self.state.bytes()),
            ("evicted_threads", counters.evicted_threads),
            ("evicted_fds", counters.evicted_fds),
            ("evicted_users", self.state.users.evicted()),
            ("evicted_orphans", self.state.threads.evicted_orphans),
            ("forgotten_exits", self.state.forgotten_exits()),
            ("shrunk", counters.shrunk),
            ("throttled", self.throttle.len() as u64),
            ("evicted_throttled", self.throttle.evicted),
        ])
    }
}

fn view<'a>(
    state: &'a State,
    event: &Event<'a>,
    seen: &'a Seen,
    number: u64,
    hostname: &'a str,
    first_ts: Option<u64>,
) -> EventView<'a> {
    EventView {
        event: *event,
        number,
        state,
        seen,
        hostname,
        first_ts: first_ts.unwrap_or(event.ts()),
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
pub(crate) mod tests;
