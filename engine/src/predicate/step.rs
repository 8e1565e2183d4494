//! One question to an event that rules out all rules which need another answer.

use std::collections::{BTreeSet, HashSet};

use super::{
    fold::Fold,
    graph::Graph,
    lookup::{Lookup, Need, worth_it},
    profile::Meter,
    program::{Literal, Scratch},
};
use crate::value::Facts;

/// As many literals as a look-up is worth.
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
    /// Literals that need words, of which each rule in `members` needs one: the words of the event are looked up instead.
    Lookup {
        lookup: Box<Lookup>,
        /// By number of the literal.
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
                    lookup.find(facts, |number| {
                        users[number as usize].move_back(alive, &scratch.saved);
                        let (node, answered) = lookup.nodes()[number as usize];
                        if answered {
                            meter.found(node);
                        }
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
pub fn steps<'l>(
    graph: &Graph,
    fold: &mut Fold,
    literals: impl Iterator<Item = (&'l Literal, &'l Vec<u32>)>,
) -> Vec<Step> {
    let mut literals: Vec<_> = literals.collect();
    literals.sort_by_key(|(literal, _)| (literal.node, literal.wanted));
    let mut found = Vec::new();
    let answered = match lookup(graph, fold, &literals) {
        Some((step, answered)) => {
            found.push(step);
            answered
        }
        None => HashSet::new(),
    };
    for (literal, rules) in literals {
        if !answered.contains(literal) {
            found.push(Step::Literal(*literal, Members::of(rules)));
        }
    }
    found.sort_by_cached_key(|step| step.rank(graph));
    found
}

/// One look-up for as many of the literals as it can hold, and those that it answers.
fn lookup(graph: &Graph, fold: &mut Fold, literals: &[(&Literal, &Vec<u32>)]) -> Option<(Step, HashSet<Literal>)> {
    let mut needs: Vec<_> = literals
        .iter()
        .filter_map(|(literal, rules)| Some(((**literal, *rules), Need::of(graph, fold, **literal)?)))
        .collect();
    worth_it(&mut needs);
    // A rule is in it with one literal: one that few others have, that is answered, that has few words. What it answers for
    // some of its rules only is asked for the others as ever.
    needs.sort_by_key(|((_, rules), need)| (rules.len(), !need.enough, need.words.len()));
    let (mut lookup, mut users, mut all) = (Lookup::default(), Vec::new(), BTreeSet::new());
    let mut answered = HashSet::new();
    for ((literal, rules), need) in needs {
        let open: Vec<u32> = rules.iter().copied().filter(|rule| !all.contains(rule)).collect();
        if open.is_empty() {
            continue;
        }
        if need.enough && open.len() == rules.len() {
            answered.insert(literal);
        }
        lookup.add(literal, need);
        users.push(Members::of(&open));
        all.extend(open);
    }
    if users.len() < FEWEST_OF_A_LOOKUP || !lookup.finish() {
        return None;
    }
    let step = Step::Lookup {
        lookup: Box::new(lookup),
        users: users.into(),
        members: Members::of(&all.into_iter().collect::<Vec<_>>()),
    };
    Some((step, answered))
}
