//! Which of many words does a text have: as a whole, at its start, at its end, or anywhere in it?

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind, automaton::OverlappingState};
use hashbrown::HashMap;
use memchr::memmem::Finder;

/// So many words are looked for one by one; an automaton reads every byte of the text.
const FEW: usize = 2;
/// So many have an automaton with a table for every state: faster, and larger.
const MOST_IN_TABLES: usize = 128;

/// Where in a text a word must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Whole,
    Start,
    End,
    Within,
}

/// Words, each with the numbers of those who ask for it.
#[derive(Debug, Default)]
pub struct Words {
    whole: HashMap<Box<[u8]>, Vec<u32>>,
    starts: Trie,
    ends: Trie,
    within: HashMap<Box<[u8]>, Vec<u32>>,
    /// The words in `within`, once all are added, and who asks for each.
    few: Vec<(Finder<'static>, Vec<u32>)>,
    automaton: Option<(AhoCorasick, Vec<Vec<u32>>)>,
}

impl Words {
    pub fn add(&mut self, place: Place, word: &[u8], number: u32) {
        match place {
            Place::Whole => self.whole.entry(word.into()).or_default().push(number),
            Place::Start => self.starts.add(word.iter().copied(), number),
            Place::End => self.ends.add(word.iter().rev().copied(), number),
            Place::Within => self.within.entry(word.into()).or_default().push(number),
        }
    }

    /// No more words will come. False if there are too many for an automaton.
    pub fn finish(&mut self) -> bool {
        if self.within.is_empty() {
            return true;
        }
        let mut words: Vec<_> = std::mem::take(&mut self.within).into_iter().collect();
        words.sort();
        if words.len() <= FEW {
            let finder = |(word, numbers): (Box<[u8]>, _)| (Finder::new(&word).into_owned(), numbers);
            self.few = words.into_iter().map(finder).collect();
            return true;
        }
        let (words, numbers): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        self.automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            // Texts are short: setting out for a rare byte costs more than walking.
            .prefilter(false)
            .kind((words.len() <= MOST_IN_TABLES).then_some(AhoCorasickKind::DFA))
            .build(words)
            .ok()
            .map(|automaton| (automaton, numbers));
        self.automaton.is_some()
    }

    /// Tell who asks for a word that the text has; some may be told more than once.
    pub fn find(&self, text: &[u8], tell: &mut impl FnMut(u32)) {
        if !self.whole.is_empty()
            && let Some(numbers) = self.whole.get(text)
        {
            numbers.iter().for_each(|number| tell(*number));
        }
        self.starts.find(text.iter().copied(), tell);
        self.ends.find(text.iter().rev().copied(), tell);
        for (finder, numbers) in &self.few {
            if finder.find(text).is_some() {
                numbers.iter().for_each(|number| tell(*number));
            }
        }
        if let Some((automaton, numbers)) = &self.automaton
            && automaton.is_match(text)
        {
            let mut state = OverlappingState::start();
            loop {
                automaton.find_overlapping(text, &mut state);
                let Some(found) = state.get_match() else { return };
                numbers[found.pattern().as_usize()]
                    .iter()
                    .for_each(|number| tell(*number));
            }
        }
    }
}

/// Words by their bytes, one node a beginning that some have in common.
#[derive(Debug, Default)]
struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Ascending by byte.
    edges: Vec<(u8, u32)>,
    numbers: Vec<u32>,
}

impl Trie {
    fn add(&mut self, word: impl Iterator<Item = u8>, number: u32) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for byte in word {
            at = match self.nodes[at].edge(byte) {
                Ok(next) => next,
                Err(place) => {
                    let next = self.nodes.len();
                    self.nodes[at].edges.insert(place, (byte, next as u32));
                    self.nodes.push(Node::default());
                    next
                }
            };
        }
        self.nodes[at].numbers.push(number);
    }

    fn find(&self, text: impl Iterator<Item = u8>, tell: &mut impl FnMut(u32)) {
        let Some(mut node) = self.nodes.first() else { return };
        node.numbers.iter().for_each(|number| tell(*number));
        for byte in text {
            let Ok(next) = node.edge(byte) else { return };
            node = &self.nodes[next];
            node.numbers.iter().for_each(|number| tell(*number));
        }
    }
}

impl Node {
    /// The node behind a byte, or the place where its edge would stand.
    fn edge(&self, byte: u8) -> Result<usize, usize> {
        if let [(only, next)] = self.edges[..] {
            return if only == byte {
                Ok(next as usize)
            } else {
                Err(usize::from(only < byte))
            };
        }
        self.edges
            .binary_search_by_key(&byte, |(byte, _)| *byte)
            .map(|at| self.edges[at].1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_that_a_text_has_and_nothing_else_is_told(
            words in prop::collection::vec((0..4u8, "[ab/]{0,4}"), 1..60),
            text in "[ab/]{0,8}",
        ) {
            let place = |place: u8| [Place::Whole, Place::Start, Place::End, Place::Within][usize::from(place)];
            let mut all = Words::default();
            for (number, (at, word)) in words.iter().enumerate() {
                all.add(place(*at), word.as_bytes(), number as u32);
            }
            prop_assert!(all.finish());
            let mut found = BTreeSet::new();
            all.find(text.as_bytes(), &mut |number| {
                found.insert(number);
            });
            let wanted: BTreeSet<u32> = (0..words.len() as u32)
                .filter(|number| {
                    let (at, word) = &words[*number as usize];
                    match place(*at) {
                        Place::Whole => text == *word,
                        Place::Start => text.starts_with(word),
                        Place::End => text.ends_with(word),
                        Place::Within => text.contains(word),
                    }
                })
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
