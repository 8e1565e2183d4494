//! Tests of one text against constants.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, Anchored, Input, MatchKind, StartKind};
use hashbrown::HashSet;
use memchr::memmem::Finder;

use super::{
    glob::Glob,
    paths::Paths,
    pattern,
    plan::{PlanError, invalid},
    test::Op,
    words::Place,
};

/// Of these words a text must have one for a test to hold.
#[derive(Debug)]
pub struct Words {
    pub place: Place,
    pub words: Vec<Vec<u8>>,
    /// And if it has, the test holds.
    pub enough: bool,
}

impl Words {
    /// Beginnings that are needed and do not suffice; none if any text will do.
    fn starts(words: Vec<Vec<u8>>) -> Option<Words> {
        words.iter().all(|word| !word.is_empty()).then_some(Words {
            place: Place::Start,
            words,
            enough: false,
        })
    }
}

/// Below this many words, comparing each is faster than an automaton or a hash.
const FEW: usize = 4;

#[derive(Debug)]
pub enum TextTest {
    Eq(Vec<u8>),
    Ne(Vec<u8>),
    /// `<`, `<=`, `>`, `>=`: by bytes.
    Order(Op, Vec<u8>),
    Contains(Box<Finder<'static>>),
    Icontains(Box<Automaton>),
    Startswith(Vec<u8>),
    Endswith(Vec<u8>),
    Glob(Glob),
    Regex(Box<regex::Regex>),
    Among(Vec<Vec<u8>>),
    In(HashSet<Box<[u8]>>),
    Pmatch(Box<Paths>),
    ContainsAny(Box<Automaton>),
    StartswithAny(Vec<Vec<u8>>),
    /// Many prefixes as an automaton that must match at the beginning.
    StartswithMany(Box<Automaton>),
    EndswithAny(Vec<Vec<u8>>),
}

/// Finds any of many words at once.
#[derive(Debug)]
pub struct Automaton {
    find: AhoCorasick,
    of: Vec<Vec<u8>>,
}

fn automaton(words: &[Vec<u8>], anchored: bool, ignore_case: bool) -> Option<Box<Automaton>> {
    AhoCorasickBuilder::new()
        .match_kind(MatchKind::Standard)
        .start_kind(if anchored {
            StartKind::Anchored
        } else {
            StartKind::Unanchored
        })
        .ascii_case_insensitive(ignore_case)
        .build(words)
        .ok()
        .map(|find| {
            Box::new(Automaton {
                find,
                of: words.to_vec(),
            })
        })
}

impl TextTest {
    pub fn new(op: Op, values: &[Vec<u8>]) -> Result<TextTest, PlanError> {
        let one = || match values {
            [value] => Ok(value.clone()),
            _ => invalid("the operator takes one constant"),
        };
        Ok(match op {
            Op::Eq => TextTest::Eq(one()?),
            Op::Ne => TextTest::Ne(one()?),
            Op::Lt | Op::Le | Op::Gt | Op::Ge => TextTest::Order(op, one()?),
            Op::Contains => TextTest::Contains(Box::new(Finder::new(&one()?).into_owned())),
            Op::Icontains => match automaton(&[one()?], false, true) {
                Some(found) => TextTest::Icontains(found),
                None => return invalid("the constant is too large"),
            },
            Op::Startswith => TextTest::Startswith(one()?),
            Op::Endswith => TextTest::Endswith(one()?),
            Op::Glob | Op::Iglob => TextTest::Glob(Glob::new(&one()?, op == Op::Iglob)),
            Op::Regex => {
                let text = String::from_utf8_lossy(&one()?).into_owned();
                match pattern::compile(&text) {
                    Ok(regex) => TextTest::Regex(Box::new(regex)),
                    Err(error) => return invalid(format!("the regular expression {text:?} is wrong: {error}")),
                }
            }
            Op::In | Op::Intersects if values.len() <= FEW => TextTest::Among(values.to_vec()),
            Op::In | Op::Intersects => TextTest::In(values.iter().map(|value| value.as_slice().into()).collect()),
            Op::Pmatch => {
                let mut paths = Paths::default();
                values.iter().for_each(|path| paths.insert(path));
                TextTest::Pmatch(Box::new(paths))
            }
            Op::Exists => return invalid("exists takes no constant"),
        })
    }

    /// One test for "the operator holds for any of these", where there is something better than trying each.
    pub fn any(op: Op, values: &[Vec<u8>]) -> Option<TextTest> {
        match op {
            Op::Eq => TextTest::new(Op::In, values).ok(),
            Op::Contains if values.len() >= FEW => automaton(values, false, false).map(TextTest::ContainsAny),
            Op::Icontains => automaton(values, false, true).map(TextTest::Icontains),
            Op::Startswith if values.len() > 2 * FEW => automaton(values, true, false).map(TextTest::StartswithMany),
            Op::Startswith => Some(TextTest::StartswithAny(values.to_vec())),
            Op::Endswith => Some(TextTest::EndswithAny(values.to_vec())),
            _ => None,
        }
    }

    /// As `Test::weight`.
    pub fn weight(&self) -> u32 {
        match self {
            TextTest::Eq(_)
            | TextTest::Ne(_)
            | TextTest::Order(..)
            | TextTest::Startswith(_)
            | TextTest::Endswith(_) => 1,
            TextTest::Among(_) | TextTest::In(_) => 2,
            TextTest::StartswithAny(_) | TextTest::EndswithAny(_) | TextTest::StartswithMany(_) => 3,
            TextTest::Contains(_) | TextTest::ContainsAny(_) | TextTest::Icontains(_) => 5,
            TextTest::Pmatch(_) | TextTest::Glob(_) => 8,
            TextTest::Regex(_) => 15,
        }
    }

    /// As `Test::words`.
    pub fn words(&self) -> Option<Words> {
        let exact = |place, words: &[Vec<u8>]| {
            Some(Words {
                place,
                words: words.to_vec(),
                enough: true,
            })
        };
        match self {
            TextTest::Eq(word) => exact(Place::Whole, std::slice::from_ref(word)),
            TextTest::Among(words) => exact(Place::Whole, words),
            TextTest::In(words) => exact(
                Place::Whole,
                &words.iter().map(|word| word.to_vec()).collect::<Vec<_>>(),
            ),
            TextTest::Startswith(word) => exact(Place::Start, std::slice::from_ref(word)),
            TextTest::StartswithAny(words) => exact(Place::Start, words),
            TextTest::StartswithMany(words) => exact(Place::Start, &words.of),
            TextTest::Endswith(word) => exact(Place::End, std::slice::from_ref(word)),
            TextTest::EndswithAny(words) => exact(Place::End, words),
            TextTest::Contains(finder) => exact(Place::Within, &[finder.needle().to_vec()]),
            TextTest::ContainsAny(words) => exact(Place::Within, &words.of),
            TextTest::Pmatch(paths) => Words::starts(paths.beginnings()?),
            TextTest::Glob(glob) => Words::starts(vec![glob.beginning()]),
            TextTest::Ne(_) | TextTest::Order(..) | TextTest::Icontains(_) | TextTest::Regex(_) => None,
        }
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            TextTest::Eq(value) => text == value,
            TextTest::Ne(value) => text != value,
            TextTest::Order(op, value) => match op {
                Op::Lt => text < value.as_slice(),
                Op::Le => text <= value.as_slice(),
                Op::Gt => text > value.as_slice(),
                _ => text >= value.as_slice(),
            },
            TextTest::Contains(finder) => finder.find(text).is_some(),
            TextTest::Icontains(words) | TextTest::ContainsAny(words) => words.find.is_match(text),
            TextTest::Startswith(value) => text.starts_with(value),
            TextTest::Endswith(value) => text.ends_with(value),
            TextTest::Glob(glob) => glob.matches(text),
            TextTest::Regex(regex) => regex.is_match(&String::from_utf8_lossy(text)),
            TextTest::Among(values) => values.iter().any(|value| value == text),
            TextTest::In(set) => set.contains(text),
            TextTest::Pmatch(paths) => paths.has_prefix_of(text),
            TextTest::StartswithAny(values) => values.iter().any(|value| text.starts_with(value)),
            TextTest::StartswithMany(words) => words.find.is_match(Input::new(text).anchored(Anchored::Yes)),
            TextTest::EndswithAny(values) => values.iter().any(|value| text.ends_with(value)),
        }
    }
}
