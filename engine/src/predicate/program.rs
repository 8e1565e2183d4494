//! What is evaluated on an event of one kind: the conditions of all rules that may match it, taken apart into literals that must
//! all hold. What several rules ask is asked once and rules them out together.

use std::collections::{HashMap, HashSet};

use super::{
    fold::Fold,
    graph::{Graph, Logic},
    profile::Meter,
    step::{Members, Step, steps},
};
use crate::{generated::events::EventKind, value::Facts};

/// Literals that a condition is taken apart into; the rest stays as it is.
const MOST_LITERALS: usize = 64;

/// A node that must hold, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    pub node: u32,
    pub wanted: bool,
}

/// The rules that may match an event of some kinds, and in which order what is asked of it.
#[derive(Debug)]
pub struct Program {
    /// In order of definition; their places here are their numbers in masks.
    rules: Box<[u32]>,
    of_event: Box<[Step]>,
    /// What the process alone decides: asked once for a process and a rule, and kept in two masks, which rules were asked
    /// about and which of these have a process that they can match.
    of_process: Box<[Step]>,
    /// What is left to ask for one rule only.
    own: Box<[Box<[Literal]>]>,
    /// Number of the two masks, and where their words begin.
    pub mask: Option<(u32, usize)>,
}

/// Bits of rules, of the event at hand.
#[derive(Debug, Default)]
pub struct Scratch {
    alive: Vec<u64>,
    /// Rules that were asked about, then those of them that the process allows.
    masks: Vec<u64>,
    open: Vec<u64>,
    pub saved: Vec<u64>,
}

impl Program {
    /// For an event of `kind`, and of every kind that tests of the type tell nothing else of.
    pub fn compile(graph: &Graph, kind: EventKind, rules: &[(u32, u32)], fold: &mut Fold) -> Program {
        fold.begin(kind);
        let mut conditions: Vec<(u32, Vec<Literal>)> = Vec::with_capacity(rules.len());
        for &(rule, node) in rules {
            let mut parts = Parts::default();
            if parts.add(graph, fold, node, true) {
                conditions.push((rule, parts.literals));
            }
        }
        let mut users: HashMap<Literal, Vec<u32>> = HashMap::new();
        for (number, (_, literals)) in conditions.iter().enumerate() {
            for literal in literals {
                users.entry(*literal).or_default().push(number as u32);
            }
        }
        let of_process = steps(
            graph,
            fold,
            users.iter().filter(|(literal, _)| graph.is_of_process(literal.node)),
        );
        let (of_event, alone) = {
            let rest: Vec<_> = users
                .iter()
                .filter(|(literal, _)| !graph.is_of_process(literal.node))
                .collect();
            let all = steps(graph, fold, rest.iter().copied());
            all.into_iter().partition::<Vec<Step>, _>(|step| !step.is_of_one())
        };
        let mut own = vec![Vec::new(); conditions.len()];
        for step in alone {
            if let Step::Literal(literal, members) = step {
                members.each(|member| own[member].push(literal));
            }
        }
        for literals in &mut own {
            literals.sort_by_key(|literal| (graph.cost(literal.node), literal.node));
        }
        Program {
            rules: conditions.iter().map(|(rule, _)| *rule).collect(),
            of_process: of_process.into(),
            of_event: of_event.into(),
            own: own.into_iter().map(Vec::into_boxed_slice).collect(),
            mask: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Words of one mask of the rules.
    pub fn words(&self) -> usize {
        self.rules.len().div_ceil(64)
    }

    pub fn asks_of_process(&self) -> bool {
        !self.of_process.is_empty()
    }

    /// Append to `matched` the rules whose conditions hold, the first or all.
    pub fn run<F: Facts, M: Meter>(
        &self,
        graph: &mut Graph,
        facts: &F,
        scratch: &mut Scratch,
        first: bool,
        matched: &mut Vec<u32>,
        meter: &mut M,
    ) {
        let mut alive = std::mem::take(&mut scratch.alive);
        let mut masks = std::mem::take(&mut scratch.masks);
        alive.clear();
        masks.clear();
        Members::all(self.rules.len(), &mut alive);
        self.recall(&mut alive, &mut masks, graph, facts);
        if any(&alive) {
            apply(&self.of_event, &mut alive, graph, facts, scratch, meter);
        }
        if any(&alive) {
            self.ask_process(&mut alive, &mut masks, graph, facts, scratch, meter);
            self.finish(&alive, graph, facts, first, matched, meter);
        }
        (scratch.alive, scratch.masks) = (alive, masks);
    }

    /// Take out what the process was found to rule out before.
    fn recall<F: Facts>(&self, alive: &mut [u64], masks: &mut Vec<u64>, graph: &mut Graph, facts: &F) {
        let words = alive.len();
        match self
            .mask
            .and_then(|(number, at)| graph.mask(facts, number, at, 2 * words))
        {
            Some(kept) => masks.extend_from_slice(kept),
            None => masks.resize(2 * words, 0),
        }
        let (asked, allowed) = masks.split_at(words);
        for (word, alive) in alive.iter_mut().enumerate() {
            *alive &= !asked[word] | allowed[word];
        }
    }

    /// Ask about the process for the rules that are alive and were not asked about before.
    fn ask_process<F: Facts, M: Meter>(
        &self,
        alive: &mut [u64],
        masks: &mut [u64],
        graph: &mut Graph,
        facts: &F,
        scratch: &mut Scratch,
        meter: &mut M,
    ) {
        let words = alive.len();
        let (asked, allowed) = masks.split_at_mut(words);
        let mut open = std::mem::take(&mut scratch.open);
        open.clear();
        open.extend(alive.iter().zip(asked.iter()).map(|(alive, asked)| alive & !asked));
        if !self.of_process.is_empty() && any(&open) {
            for (word, open) in open.iter().enumerate() {
                asked[word] |= open;
                alive[word] &= !open;
            }
            apply(&self.of_process, &mut open, graph, facts, scratch, meter);
            for (word, open) in open.iter().enumerate() {
                allowed[word] |= open;
                alive[word] |= open;
            }
            if let Some((number, at)) = self.mask {
                graph.keep_mask(facts, number, at, masks);
            }
        }
        scratch.open = open;
    }

    /// Ask what is left of the rules that are still alive.
    fn finish<F: Facts, M: Meter>(
        &self,
        alive: &[u64],
        graph: &mut Graph,
        facts: &F,
        first: bool,
        matched: &mut Vec<u32>,
        meter: &mut M,
    ) {
        for (word, bits) in alive.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let number = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let begun = meter.now();
                let holds = self.own[number]
                    .iter()
                    .all(|literal| graph.holds(literal.node, facts, meter) == literal.wanted);
                meter.asked(self.rules[number], holds, begun);
                if holds {
                    matched.push(self.rules[number]);
                    if first {
                        return;
                    }
                }
            }
        }
    }
}

fn any(mask: &[u64]) -> bool {
    mask.iter().any(|word| *word != 0)
}

fn apply<F: Facts, M: Meter>(
    steps: &[Step],
    alive: &mut [u64],
    graph: &mut Graph,
    facts: &F,
    scratch: &mut Scratch,
    meter: &mut M,
) {
    for step in steps {
        step.apply(alive, graph, facts, scratch, meter);
    }
}

/// A condition as literals that must all hold.
#[derive(Default)]
struct Parts {
    literals: Vec<Literal>,
    met: HashSet<Literal>,
}

impl Parts {
    /// Add that `node` must hold (or not); false if it cannot on this kind of event.
    fn add(&mut self, graph: &Graph, fold: &mut Fold, node: u32, wanted: bool) -> bool {
        match fold.says(graph, node) {
            Some(said) if said == wanted => return true,
            Some(_) => return false,
            None => {}
        }
        let literal = Literal { node, wanted };
        if !self.met.insert(literal) {
            return true;
        }
        if self.met.len() > MOST_LITERALS {
            self.literals.push(literal);
            return true;
        }
        match (graph.logic(node), wanted) {
            (Logic::Not(child), _) => self.add(graph, fold, *child, !wanted),
            (Logic::All(children), true) | (Logic::Any(children), false) => {
                children.iter().all(|&child| self.add(graph, fold, child, wanted))
            }
            (Logic::All(children), false) | (Logic::Any(children), true) => {
                let mut open = children.iter().filter(|&&child| fold.says(graph, child).is_none());
                match (open.next(), open.next()) {
                    (Some(&only), None) => self.add(graph, fold, only, wanted),
                    _ => {
                        self.literals.push(literal);
                        true
                    }
                }
            }
            (Logic::Test(_) | Logic::Kind(..), _) => {
                self.literals.push(literal);
                true
            }
        }
    }
}
