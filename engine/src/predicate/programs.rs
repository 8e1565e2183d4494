//! The program of each kind of event. Kinds on which the same rules may match, and of which tests of the type say the same,
//! share one.

use std::collections::HashMap;

use super::{
    Rule,
    fold::Fold,
    graph::{Graph, Logic},
    profile::Meter,
    program::{Program, Scratch},
};
use crate::{
    generated::events::{EventKind, KINDS},
    value::Facts,
};

/// Rules that may match, and what each test of the type says.
type Likeness<'r> = (&'r [u32], Vec<Option<bool>>);

#[derive(Debug)]
pub struct Programs {
    all: Vec<Program>,
    /// By kind.
    of_kind: Vec<Option<u32>>,
    scratch: Scratch,
}

impl Programs {
    /// `by_kind`: the rules that may match an event of a kind, in order of definition.
    pub fn compile(graph: &mut Graph, by_kind: &[Vec<u32>], rules: &[Rule]) -> Programs {
        let tests: Vec<u32> = (0..graph.len() as u32)
            .filter(|&node| matches!(graph.logic(node), Logic::Kind(..)))
            .collect();
        let mut fold = Fold::new(graph);
        let mut known: HashMap<Likeness, Option<u32>> = HashMap::new();
        let (mut all, mut of_kind) = (Vec::new(), vec![None; by_kind.len()]);
        let (mut masks, mut words) = (0, 0);
        for kind in KINDS {
            let candidates = &by_kind[kind as usize];
            if candidates.is_empty() {
                continue;
            }
            let answers = tests.iter().map(|&node| answer(graph, node, kind)).collect();
            of_kind[kind as usize] = *known.entry((candidates, answers)).or_insert_with(|| {
                let rows: Vec<(u32, u32)> = candidates
                    .iter()
                    .map(|&rule| (rule, rules[rule as usize].node))
                    .collect();
                let mut program = Program::compile(graph, kind, &rows, &mut fold);
                if program.is_empty() {
                    return None;
                }
                if program.asks_of_process() {
                    program.mask = Some((masks, words));
                    masks += 1;
                    words += 2 * program.words();
                }
                all.push(program);
                Some(all.len() as u32 - 1)
            });
        }
        graph.reserve_masks(masks as usize, words);
        Programs {
            all,
            of_kind,
            scratch: Scratch::default(),
        }
    }

    pub fn of(&self, kind: EventKind) -> Option<&Program> {
        self.of_kind[kind as usize].map(|number| &self.all[number as usize])
    }

    /// As `Program::run`, of the program of the event's kind.
    pub fn run<F: Facts, M: Meter>(
        &mut self,
        graph: &mut Graph,
        facts: &F,
        first: bool,
        matched: &mut Vec<u32>,
        meter: &mut M,
    ) {
        let Some(number) = self.of_kind[facts.kind() as usize] else {
            return;
        };
        graph.begin(facts.kind());
        self.all[number as usize].run(graph, facts, &mut self.scratch, first, matched, meter);
    }
}

fn answer(graph: &Graph, node: u32, kind: EventKind) -> Option<bool> {
    match graph.logic(node) {
        Logic::Kind(answers, _) => answers[kind as usize],
        _ => None,
    }
}
