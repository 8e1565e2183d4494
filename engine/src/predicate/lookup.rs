//! Many literals at once: which of the words that they ask for do the texts of the event have?
//!
//! A literal is answered if all that makes it hold are words: `fd.name in (…) or fd.directory startswith …`. Others still need
//! some word to hold (`fd.name contains /.ssh/ and fd.name glob …`), and without it are ruled out unasked.

use super::{
    fold::Fold,
    graph::{Graph, Logic},
    operand::Operand,
    program::Literal,
    test::Test,
    words::{Place, Words},
};
use crate::value::{Facts, Value};

/// Words that one literal may ask for, and nodes that are looked through for them.
const MOST_WORDS: usize = 1024;
const MOST_NODES: u32 = 256;

/// A word, where it must stand, and in which text: the one left of a test.
#[derive(Clone, Debug)]
pub struct Word<'g> {
    of: &'g Test,
    place: Place,
    bytes: Box<[u8]>,
}

/// What a literal needs: one of the words.
#[derive(Debug)]
pub struct Need<'g> {
    pub words: Vec<Word<'g>>,
    /// And with one of them it holds.
    pub enough: bool,
}

impl<'g> Need<'g> {
    /// Of a literal on events of the kind that `fold` is about; none if it can hold without words.
    pub fn of(graph: &'g Graph, fold: &mut Fold, literal: Literal) -> Option<Need<'g>> {
        let mut budget = MOST_NODES;
        let need = search(graph, fold, literal.node, literal.wanted, &mut budget)?;
        (need.words.len() <= MOST_WORDS).then_some(need)
    }
}

fn search<'g>(graph: &'g Graph, fold: &mut Fold, node: u32, wanted: bool, budget: &mut u32) -> Option<Need<'g>> {
    *budget = budget.checked_sub(1)?;
    match (graph.logic(node), wanted) {
        (Logic::Not(child), _) => search(graph, fold, *child, !wanted, budget),
        (Logic::Test(test) | Logic::Kind(_, test), true) if test.left.fewest_of_a_lookup().is_some() => {
            let found = test.words()?;
            let word = |bytes: Vec<u8>| Word {
                of: test,
                place: found.place,
                bytes: bytes.into(),
            };
            Some(Need {
                words: found.words.into_iter().map(word).collect(),
                enough: found.enough,
            })
        }
        (Logic::All(children), true) | (Logic::Any(children), false) => {
            // Whichever of them is the rarest: the one with the fewest words. What always holds on this kind rules nothing out.
            let mut needs = Vec::new();
            for &child in children {
                if fold.says(graph, child).is_none() {
                    needs.extend(search(graph, fold, child, wanted, budget));
                }
            }
            let best = needs.into_iter().min_by_key(|need| need.words.len())?;
            Some(Need { enough: false, ..best })
        }
        (Logic::Any(children), true) | (Logic::All(children), false) => {
            let mut all = Need {
                words: Vec::new(),
                enough: true,
            };
            for &child in children {
                // A part that cannot hold on this kind of event needs nothing.
                if fold.says(graph, child) == Some(!wanted) {
                    continue;
                }
                let need = search(graph, fold, child, wanted, budget)?;
                all.words.extend(need.words);
                all.enough &= need.enough;
                if all.words.len() > MOST_WORDS {
                    return None;
                }
            }
            Some(all)
        }
        (Logic::Test(_) | Logic::Kind(..), _) => None,
    }
}

/// Leave out the needs that ask for words in a text that too few ask for.
pub fn worth_it<T>(needs: &mut Vec<(T, Need)>) {
    let mut users: Vec<(&Operand, usize)> = Vec::new();
    for (_, need) in needs.iter() {
        let mut counted: Vec<&Operand> = Vec::new();
        for word in &need.words {
            let operand = &word.of.left;
            if counted.contains(&operand) {
                continue;
            }
            counted.push(operand);
            match users.iter_mut().find(|(known, _)| *known == operand) {
                Some((_, count)) => *count += 1,
                None => users.push((operand, 1)),
            }
        }
    }
    let few: Vec<Operand> = users
        .into_iter()
        .filter(|(operand, count)| operand.fewest_of_a_lookup().is_none_or(|fewest| *count < fewest))
        .map(|(operand, _)| operand.clone())
        .collect();
    needs.retain(|(_, need)| need.words.iter().all(|word| !few.contains(&word.of.left)));
}

#[derive(Debug, Default)]
pub struct Lookup {
    texts: Vec<(Operand, Words)>,
    /// By number of the literal: its node, and whether a word answers it.
    nodes: Vec<(u32, bool)>,
}

impl Lookup {
    /// Add a literal with what it needs; it gets the next number.
    pub fn add(&mut self, literal: Literal, need: Need) {
        let number = self.nodes.len() as u32;
        self.nodes.push((literal.node, need.enough));
        for word in need.words {
            let operand = &word.of.left;
            let at = match self.texts.iter().position(|(known, _)| known == operand) {
                Some(at) => at,
                None => {
                    self.texts.push((operand.clone(), Words::default()));
                    self.texts.len() - 1
                }
            };
            self.texts[at].1.add(word.place, &word.bytes, number);
        }
    }

    /// No more literals will come. False if there are too many words.
    pub fn finish(&mut self) -> bool {
        self.texts.iter_mut().all(|(_, words)| words.finish())
    }

    /// The nodes of its literals, by number, and whether they are answered; others are asked when there is a word.
    pub fn nodes(&self) -> &[(u32, bool)] {
        &self.nodes
    }

    /// Tell the number of each literal for which there is a word; some may be told more than once.
    pub fn find<F: Facts>(&self, facts: &F, mut tell: impl FnMut(u32)) {
        for (operand, words) in &self.texts {
            of_value(words, &operand.value(facts), &mut tell);
        }
    }
}

fn of_value(words: &Words, value: &Value<'_>, tell: &mut impl FnMut(u32)) {
    if let Value::List(items) = value {
        // A field that stands for several: one is enough.
        items.iter().for_each(|item| of_value(words, item, tell));
    } else if let Some(text) = value.bytes() {
        words.find(text, tell);
    }
}
