//! Results of predicates that outlive an event: one row a version of a process or descriptor, two bits a predicate.

/// Direct-mapped and of fixed size: a newer version takes the row of an older one, which then is only computed again.
#[derive(Debug)]
pub struct Cache {
    words: usize,
    mask: u64,
    versions: Vec<u64>,
    /// Per row: `words` of "is known", `words` of results.
    bits: Vec<u64>,
}

/// No version: `facts` count from 1 or use hashes, and a clash only costs a computation.
const NONE: u64 = u64::MAX;

impl Cache {
    /// For `slots` predicates; `rows` is rounded up to a power of two.
    pub fn new(slots: usize, rows: usize) -> Cache {
        let words = slots.div_ceil(64);
        let rows = if words == 0 { 1 } else { rows.next_power_of_two() };
        Cache {
            words,
            mask: rows as u64 - 1,
            versions: vec![NONE; rows],
            bits: vec![0; rows * words * 2],
        }
    }

    /// The row of `version`, forgotten first if it held another.
    pub fn row(&mut self, version: u64) -> usize {
        let row = ((version ^ version >> 32) & self.mask) as usize;
        if self.versions[row] != version || version == NONE {
            self.versions[row] = version;
            let start = row * self.words * 2;
            self.bits[start..start + self.words].fill(0);
        }
        row
    }

    pub fn get(&self, row: usize, slot: u32) -> Option<bool> {
        let (word, bit) = (row * self.words * 2 + (slot >> 6) as usize, 1 << (slot & 63));
        (self.bits[word] & bit != 0).then(|| self.bits[word + self.words] & bit != 0)
    }

    pub fn set(&mut self, row: usize, slot: u32, result: bool) {
        let (word, bit) = (row * self.words * 2 + (slot >> 6) as usize, 1 << (slot & 63));
        self.bits[word] |= bit;
        if result {
            self.bits[word + self.words] |= bit;
        } else {
            self.bits[word + self.words] &= !bit;
        }
    }
}
