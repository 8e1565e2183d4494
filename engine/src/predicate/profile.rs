//! What rules and predicates cost: counted and timed only where somebody asked for it.

use std::time::Instant;

/// Told of each test as it is made. The one for every day does nothing and takes no time.
pub trait Meter {
    type Mark: Copy;

    fn now(&self) -> Self::Mark;

    /// A test was computed, not remembered.
    fn tested(&mut self, node: usize, held: bool, begun: Self::Mark);

    /// One of many tests that are answered at once holds; may be told more than once before `looked_up`.
    fn found(&mut self, node: u32);

    /// Many tests were answered at once.
    fn looked_up(&mut self, nodes: &[(u32, bool)], begun: Self::Mark);

    /// What is left of a rule was asked: all that other rules ask, too, did hold.
    fn asked(&mut self, rule: u32, matched: bool, begun: Self::Mark);
}

/// No measurement.
#[derive(Debug)]
pub struct Unmetered;

impl Meter for Unmetered {
    type Mark = ();

    fn now(&self) {}

    fn tested(&mut self, _: usize, _: bool, (): ()) {}

    fn found(&mut self, _: u32) {}

    fn looked_up(&mut self, _: &[(u32, bool)], (): ()) {}

    fn asked(&mut self, _: u32, _: bool, (): ()) {}
}

/// How often, how often with success, and nanoseconds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub times: u64,
    pub held: u64,
    pub ns: u64,
}

impl Count {
    fn add(&mut self, held: bool, begun: Instant) {
        self.times += 1;
        self.held += u64::from(held);
        self.ns += begun.elapsed().as_nanos() as u64;
    }
}

/// Counts of everything, while a rule set is measured.
#[derive(Debug)]
pub struct Profile {
    /// By number of node. Tests that were answered together share the time.
    pub tests: Vec<Count>,
    /// By number of node: after how many times it was last found.
    found: Vec<u64>,
    /// By number of rule: times that only its own tests were left.
    pub rules: Vec<Count>,
    /// Events that any rule may match, and all that they took.
    pub events: Count,
}

impl Profile {
    pub fn new(nodes: usize, rules: usize) -> Profile {
        Profile {
            tests: vec![Count::default(); nodes],
            found: vec![u64::MAX; nodes],
            rules: vec![Count::default(); rules],
            events: Count::default(),
        }
    }

    pub fn event(&mut self, matched: bool, begun: Instant) {
        self.events.add(matched, begun);
    }
}

impl Meter for Profile {
    type Mark = Instant;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn tested(&mut self, node: usize, held: bool, begun: Instant) {
        self.tests[node].add(held, begun);
    }

    fn found(&mut self, node: u32) {
        let (count, found) = (&mut self.tests[node as usize], &mut self.found[node as usize]);
        if *found != count.times {
            *found = count.times;
            count.held += 1;
        }
    }

    fn looked_up(&mut self, nodes: &[(u32, bool)], begun: Instant) {
        let share = begun.elapsed().as_nanos() as u64 / nodes.len().max(1) as u64;
        for (node, answered) in nodes {
            let count = &mut self.tests[*node as usize];
            count.times += u64::from(*answered);
            count.ns += share;
        }
    }

    fn asked(&mut self, rule: u32, matched: bool, begun: Instant) {
        self.rules[rule as usize].add(matched, begun);
    }
}
