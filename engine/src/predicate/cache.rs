//! Results of predicates that outlive an event: one row a version of a process or descriptor, two bits a predicate, and
//! words that belong together.

use crate::value::Version;

/// Most rows, most memory of a cache, and fewest rows whatever they take.
const ROWS: usize = 4096;
const MOST_BYTES: usize = 64 << 20;
const FEWEST_ROWS: usize = 16;

/// Direct-mapped and of fixed size: a newer version takes the row of an older one, which then is only computed again.
#[derive(Debug)]
pub struct Cache {
    /// Words of "is known", and as many of results.
    known: usize,
    /// Words of a row: known, results, masks.
    width: usize,
    mask: u64,
    versions: Vec<Option<Version>>,
    bits: Vec<u64>,
}

impl Cache {
    /// For `slots` predicates and `words` more.
    pub fn new(slots: usize, words: usize) -> Cache {
        let known = slots.div_ceil(64);
        let width = 2 * known + words;
        let rows = if width == 0 {
            1
        } else {
            let most = (MOST_BYTES / (8 * width)).clamp(FEWEST_ROWS, ROWS);
            1 << most.ilog2()
        };
        Cache {
            known,
            width,
            mask: rows as u64 - 1,
            versions: vec![None; rows],
            bits: vec![0; rows * width],
        }
    }

    /// The row of `version`, forgotten first if it held another.
    pub fn row(&mut self, version: Version) -> usize {
        let (own, of_container) = version;
        let row = ((own ^ own >> 32 ^ of_container) & self.mask) as usize;
        if self.versions[row] != Some(version) {
            self.versions[row] = Some(version);
            let start = row * self.width;
            self.bits[start..start + self.known].fill(0);
        }
        row
    }

    pub fn get(&self, row: usize, slot: u32) -> Option<bool> {
        let (word, bit) = self.place(row, slot);
        (self.bits[word] & bit != 0).then(|| self.bits[word + self.known] & bit != 0)
    }

    pub fn set(&mut self, row: usize, slot: u32, result: bool) {
        let (word, bit) = self.place(row, slot);
        self.bits[word] |= bit;
        if result {
            self.bits[word + self.known] |= bit;
        } else {
            self.bits[word + self.known] &= !bit;
        }
    }

    /// `count` of the words from `at` on; of use only if whoever wrote them has set a slot for it.
    pub fn words(&self, row: usize, at: usize, count: usize) -> &[u64] {
        let start = row * self.width + 2 * self.known + at;
        &self.bits[start..start + count]
    }

    pub fn set_words(&mut self, row: usize, at: usize, words: &[u64]) {
        let start = row * self.width + 2 * self.known + at;
        self.bits[start..start + words.len()].copy_from_slice(words);
    }

    fn place(&self, row: usize, slot: u32) -> (usize, u64) {
        (row * self.width + (slot >> 6) as usize, 1 << (slot & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_predicates_have_fewer_rows() {
        let bytes = |cache: &Cache| cache.bits.len() * 8;
        assert_eq!(Cache::new(0, 0).versions.len(), 1);
        assert_eq!(Cache::new(100, 3).versions.len(), ROWS);
        assert!(bytes(&Cache::new(1 << 18, 4000)) <= MOST_BYTES);
        assert_eq!(Cache::new(1 << 30, 0).versions.len(), FEWEST_ROWS);
    }

    #[test]
    fn another_version_in_the_row_knows_nothing() {
        let mut cache = Cache::new(70, 1);
        let row = cache.row((5, 0));
        cache.set(row, 69, true);
        cache.set_words(row, 0, &[7]);
        assert_eq!((cache.get(row, 69), cache.words(row, 0, 1)), (Some(true), &[7][..]));
        assert_eq!(cache.row((5, 0)), row);
        for other in [(5 + ROWS as u64, 0), (5, ROWS as u64), (5, 0)] {
            assert_eq!(cache.row(other), row);
            assert_eq!(cache.get(row, 69), None);
        }
    }
}
