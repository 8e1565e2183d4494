//! One question to an event that rules out all rules which need another answer.

use std::collections::HashMap;

use super::{
    graph::{Graph, Logic},
    lookup::Lookup,
    operand::Operand,
    profile::Meter,
    program::{Literal, Scratch},
};
use crate::value::Facts;

/// As many tests of one operand as a look-up is made of.
const FEWEST_OF_A_LOOKUP: usize = 3;

/// A set of rules of a program, as words of its mask that are not 0.
#[derive(Clone, Debug, Default)]
pub struct Members(Box<[(u32, u64)]>);

impl Members {
    /// From ascending numbers.
    fn of(numbers: &[u32]) -> Members {
        let mut words: Vec<(u32, u64)> = Vec::new();
        for number in numbers {
            let (word, bit) = (number >> 6, 1 << (number & 63));
            match words.last_mut() {
                Some((last, bits)) if *last == word => *bits |= bit,
                _ => words.push((word, bit)),
            }
        }
        Members(words.into())
    }

    /// Append the mask of all of `count` rules.
    pub fn all(count: usize, mask: &mut Vec<u64>) {
        mask.resize(count / 64, u64::MAX);
        if !count.is_multiple_of(64) {
            mask.push((1 << (count % 64)) - 1);
        }
    }

    pub fn each(&self, mut act: impl FnMut(usize)) {
        for (word, bits) in &self.0 {
            let mut bits = *bits;
            while bits != 0 {
                act(*word as usize * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|(_, bits)| bits.count_ones()).sum()
    }

    fn intersects(&self, mask: &[u64]) -> bool {
        self.0.iter().any(|(word, bits)| mask[*word as usize] & bits != 0)
    }

    fn remove_from(&self, mask: &mut [u64]) {
        for (word, bits) in &self.0 {
            mask[*word as usize] &= !bits;
        }
    }

    /// Take the members out of `mask` and leave in `saved` which were there.
    fn move_out(&self, mask: &mut [u64], saved: &mut Vec<u64>) {
        saved.resize(mask.len().max(saved.len()), 0);
        for (word, bits) in &self.0 {
            let word = *word as usize;
            saved[word] = mask[word] & bits;
            mask[word] &= !bits;
        }
    }

    fn move_back(&self, mask: &mut [u64], saved: &[u64]) {
        for (word, bits) in &self.0 {
            mask[*word as usize] |= saved[*word as usize] & bits;
        }
    }
}

#[derive(Debug)]
pub enum Step {
    Literal(Literal, Members),
    /// Tests of one text, of which each rule in `members` needs one: the value is looked up instead.
    Lookup {
        lookup: Box<Lookup>,
        /// By number of the test.
        users: Box<[Members]>,
        members: Members,
    },
}

impl Step {
    pub fn is_of_one(&self) -> bool {
        matches!(self, Step::Literal(_, members) if members.len() == 1)
    }

    /// Take out of `alive` the rules that cannot match.
    pub fn apply<F: Facts, M: Meter>(
        &self,
        alive: &mut [u64],
        graph: &mut Graph,
        facts: &F,
        scratch: &mut Scratch,
        meter: &mut M,
    ) {
        match self {
            Step::Literal(literal, members) => {
                if members.intersects(alive) && graph.holds(literal.node, facts, meter) != literal.wanted {
                    members.remove_from(alive);
                }
            }
            Step::Lookup { lookup, users, members } => {
                if members.intersects(alive) {
                    let begun = meter.now();
                    members.move_out(alive, &mut scratch.saved);
                    lookup.find(facts, |test| {
                        users[test].move_back(alive, &scratch.saved);
                        meter.found(lookup.nodes()[test]);
                    });
                    meter.looked_up(lookup.nodes(), begun);
                }
            }
        }
    }

    /// Cheap questions first, and of these the ones that decide about many rules.
    fn rank(&self, graph: &Graph) -> (u32, u32) {
        match self {
            Step::Literal(literal, members) => (graph.cost(literal.node), u32::MAX - members.len()),
            Step::Lookup { members, .. } => (4, u32::MAX - members.len()),
        }
    }
}

/// The steps that ask all of `literals`, each with the rules that need it.
pub fn steps<'l>(graph: &Graph, literals: impl Iterator<Item = (&'l Literal, &'l Vec<u32>)>) -> Vec<Step> {
    let mut literals: Vec<_> = literals.collect();
    literals.sort_by_key(|(literal, _)| (literal.node, literal.wanted));
    let mut by_operand: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, (literal, _)) in literals.iter().enumerate() {
        if let Some(operand) = looked_up(graph, literal) {
            by_operand.entry(format!("{operand:?}")).or_default().push(at);
        }
    }
    let mut groups: Vec<_> = by_operand
        .into_values()
        .filter(|group| group.len() >= FEWEST_OF_A_LOOKUP)
        .collect();
    groups.sort();
    let mut taken = vec![false; literals.len()];
    let mut found = Vec::new();
    for group in groups {
        let mut lookup = Lookup::default();
        let (mut users, mut all) = (Vec::new(), std::collections::BTreeSet::new());
        for at in group {
            let (literal, rules) = literals[at];
            // A rule that needs two of the tests needs the second by itself.
            if rules.iter().any(|rule| all.contains(rule)) {
                continue;
            }
            if let Logic::Test(test) = graph.logic(literal.node) {
                lookup.add(literal.node, test);
                all.extend(rules.iter().copied());
                users.push(Members::of(rules));
                taken[at] = true;
            }
        }
        let members = Members::of(&all.into_iter().collect::<Vec<_>>());
        found.push(Step::Lookup {
            lookup: Box::new(lookup),
            users: users.into(),
            members,
        });
    }
    for (at, (literal, rules)) in literals.into_iter().enumerate() {
        if !taken[at] {
            found.push(Step::Literal(*literal, Members::of(rules)));
        }
    }
    found.sort_by_cached_key(|step| step.rank(graph));
    found
}

/// The operand of a literal that can be part of a look-up.
fn looked_up<'g>(graph: &'g Graph, literal: &Literal) -> Option<&'g Operand> {
    match graph.logic(literal.node) {
        Logic::Test(test) if literal.wanted && test.words().is_some() => Some(&test.left),
        _ => None,
    }
}
