//! Many tests of one text at once: which of the texts, prefixes and suffixes that they ask for does the value have?

use hashbrown::HashMap;

use super::{operand::Operand, test::Test};
use crate::value::{Facts, Value};

/// Where in a value a word must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Whole,
    Start,
    End,
}

/// Words, each with the numbers of the tests that it fulfils.
type Words = HashMap<Box<[u8]>, Vec<u32>>;

#[derive(Debug, Default)]
pub struct Lookup {
    operand: Option<Operand>,
    /// By number of the test.
    nodes: Vec<u32>,
    whole: Words,
    starts: Words,
    ends: Words,
    /// Lengths of the prefixes and of the suffixes, ascending.
    start_lengths: Vec<usize>,
    end_lengths: Vec<usize>,
}

impl Lookup {
    /// Add a test that has `words`, of the same operand as the others; it gets the next number.
    pub fn add(&mut self, node: u32, test: &Test) {
        if self.operand.is_none() {
            self.operand = Some(test.left.clone());
        }
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        let Some((place, words)) = test.words() else { return };
        for word in words {
            let (map, lengths) = match place {
                Place::Whole => (&mut self.whole, None),
                Place::Start => (&mut self.starts, Some(&mut self.start_lengths)),
                Place::End => (&mut self.ends, Some(&mut self.end_lengths)),
            };
            map.entry(word.into()).or_default().push(number);
            if let Some(lengths) = lengths
                && let Err(at) = lengths.binary_search(&word.len())
            {
                lengths.insert(at, word.len());
            }
        }
    }

    /// The nodes of its tests, by number.
    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// Tell the number of each test that holds; some may be told more than once.
    pub fn find<F: Facts>(&self, facts: &F, mut tell: impl FnMut(usize)) {
        if let Some(operand) = &self.operand {
            self.of_value(&operand.value(facts), &mut tell);
        }
    }

    fn of_value(&self, value: &Value<'_>, tell: &mut impl FnMut(usize)) {
        if let Value::List(items) = value {
            // A field that stands for several: one is enough.
            items.iter().for_each(|item| self.of_value(item, tell));
            return;
        }
        let Some(text) = value.bytes() else { return };
        let mut say = |numbers: Option<&Vec<u32>>| {
            if let Some(numbers) = numbers {
                numbers.iter().for_each(|number| tell(*number as usize));
            }
        };
        if !self.whole.is_empty() {
            say(self.whole.get(text));
        }
        for &length in self.start_lengths.iter().take_while(|length| **length <= text.len()) {
            say(self.starts.get(&text[..length]));
        }
        for &length in self.end_lengths.iter().take_while(|length| **length <= text.len()) {
            say(self.ends.get(&text[text.len() - length..]));
        }
    }
}
