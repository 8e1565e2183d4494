//! A map that has a limit: when it is full, what was told longest ago goes.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

use super::share;

/// Values by key, each with the order in which it was told.
#[derive(Clone, Debug)]
pub struct Kept<K, V> {
    pub(in crate::state) map: HashMap<K, (u64, V)>,
    /// Order of the value told last.
    pub(in crate::state) told: u64,
    /// Values that went because the map was full.
    pub evicted: u64,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Kept<K, V> {
        Kept {
            map: HashMap::new(),
            told: 0,
            evicted: 0,
        }
    }
}

impl<K: Hash + Eq, V> Kept<K, V> {
    /// Enter a value. Of a full map those go first whose `rank` is lowest, then those told longest ago.
    pub fn insert(&mut self, key: K, value: V, limit: usize, rank: impl Fn(&K) -> u8) {
        if self.map.len() >= limit && !self.map.contains_key(&key) {
            self.evict(self.map.len() - limit + share(limit), rank);
        }
        self.told += 1;
        self.map.insert(key, (self.told, value));
    }

    /// Take out so many: of the lowest `rank`, of these what was told longest ago.
    pub fn evict(&mut self, count: usize, rank: impl Fn(&K) -> u8) {
        let value = |key: &K, told: u64| (rank(key), told);
        let mut order: Vec<(u8, u64)> = self.map.iter().map(|(key, (told, _))| value(key, *told)).collect();
        let before = order.len();
        if count < before {
            let first_kept = *order.select_nth_unstable(count).1;
            self.map.retain(|key, (told, _)| value(key, *told) >= first_kept);
        } else {
            self.map.clear();
        }
        self.evicted += (before - self.map.len()) as u64;
    }

    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&V> {
        self.map.get(key).map(|(_, value)| value)
    }

    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q) {
        self.map.remove(key);
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter().map(|(key, (_, value))| (key, value))
    }
}
