//! What the kind of an event alone says of each node: the tests of its type, and those of its number, which begins at 1.

use super::graph::{Graph, Logic};
use crate::generated::events::EventKind;

/// Answers for one kind at a time, each node asked once.
#[derive(Debug)]
pub struct Fold {
    kind: EventKind,
    round: u32,
    /// Per node: the round in which it was asked, and the answer.
    known: Vec<(u32, Option<bool>)>,
}

impl Fold {
    pub fn new(graph: &Graph) -> Fold {
        Fold {
            kind: EventKind::Syscall,
            round: 0,
            known: vec![(0, None); graph.len()],
        }
    }

    pub fn begin(&mut self, kind: EventKind) {
        self.kind = kind;
        self.round += 1;
    }

    /// Whether the node holds on every event of the kind, or on none; otherwise nothing.
    pub fn says(&mut self, graph: &Graph, node: u32) -> Option<bool> {
        let (round, answer) = self.known[node as usize];
        if round == self.round {
            return answer;
        }
        let answer = match graph.logic(node) {
            Logic::Kind(answers, _) => answers[self.kind as usize],
            Logic::Test(test) => test.of_any_number(),
            Logic::Not(child) => self.says(graph, *child).map(|said| !said),
            Logic::All(children) => self.joined(graph, children, false),
            Logic::Any(children) => self.joined(graph, children, true),
        };
        self.known[node as usize] = (self.round, answer);
        answer
    }

    /// `decisive` if one child says so, its opposite if all say that.
    fn joined(&mut self, graph: &Graph, children: &[u32], decisive: bool) -> Option<bool> {
        let mut open = false;
        for &child in children {
            match self.says(graph, child) {
                Some(said) if said == decisive => return Some(decisive),
                Some(_) => {}
                None => open = true,
            }
        }
        (!open).then_some(!decisive)
    }
}
