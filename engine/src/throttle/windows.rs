//! Windows by key, in the order in which they end. All of it costs the logarithm of how many there are, whatever times come.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::facts::OutputValue;

/// From its first alert at `start` on. A clock that was set back by as much as a window is long ends it, too.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub start: u64,
    pub every: u64,
    pub passed: u32,
    pub suppressed: u64,
    /// Number and time of the last event that was suppressed.
    pub last: (u64, u64),
    /// Of the fields by which alerts are told apart.
    pub values: Vec<OutputValue>,
}

impl Window {
    pub fn new(start: u64, every: u64, values: Vec<OutputValue>) -> Window {
        Window {
            start,
            every,
            passed: 1,
            suppressed: 0,
            last: (0, 0),
            values,
        }
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.every)
    }

    /// Times no later than this one are before the window.
    fn back(&self) -> Option<u64> {
        self.start.checked_sub(self.every)
    }

    fn has_ended(&self, time: u64) -> bool {
        time >= self.end() || self.back().is_some_and(|back| time <= back)
    }
}

/// What an alert finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Within,
    Beyond,
    /// Of a window that had ended, and begins anew with this alert: what it had counted.
    Ended(u64),
}

#[derive(Debug, Default)]
pub struct Windows {
    serials: HashMap<Box<[u8]>, u64>,
    /// In the order in which they were opened.
    windows: BTreeMap<u64, (Box<[u8]>, Window)>,
    next: u64,
    ends: BTreeSet<(u64, u64)>,
    backs: BTreeSet<(u64, u64)>,
    /// The first of `ends`, and one more than the last of `backs`: what every event is compared with.
    soonest: Option<u64>,
    latest_back: u64,
}

impl Windows {
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    pub fn has(&self, key: &[u8]) -> bool {
        self.serials.contains_key(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Window)> {
        self.windows.values().map(|(key, window)| (&key[..], window))
    }

    pub fn open(&mut self, key: Vec<u8>, window: Window) {
        let (serial, key) = (self.next, key.into_boxed_slice());
        self.next += 1;
        self.enter(serial, &window);
        self.serials.insert(key.clone(), serial);
        self.windows.insert(serial, (key, window));
    }

    /// Count an alert in the window of its key.
    pub fn count(&mut self, key: &[u8], burst: u32, seq: u64, time: u64) -> Option<Count> {
        let serial = *self.serials.get(key)?;
        let (_, window) = self.windows.get_mut(&serial)?;
        if !window.has_ended(time) {
            if window.passed < burst {
                window.passed += 1;
                return Some(Count::Within);
            }
            window.suppressed += 1;
            window.last = (seq, time);
            return Some(Count::Beyond);
        }
        let old = window.clone();
        (window.start, window.passed, window.suppressed) = (time, 1, 0);
        let new = window.clone();
        self.leave(serial, &old);
        self.enter(serial, &new);
        Some(Count::Ended(old.suppressed))
    }

    /// Take out a window that has ended.
    pub fn pop_ended(&mut self, time: u64) -> Option<(Vec<u8>, Window)> {
        let serial = if self.soonest.is_some_and(|end| end <= time) {
            self.ends.first()?.1
        } else if time < self.latest_back {
            self.backs.last()?.1
        } else {
            return None;
        };
        self.remove(serial)
    }

    /// Take out the window that ends first.
    pub fn pop_first(&mut self) -> Option<(Vec<u8>, Window)> {
        let serial = self.ends.first()?.1;
        self.remove(serial)
    }

    /// Take out all, in the order in which they were opened.
    pub fn take(&mut self) -> Vec<(Vec<u8>, Window)> {
        let all = std::mem::take(self);
        all.windows
            .into_values()
            .map(|(key, window)| (key.into_vec(), window))
            .collect()
    }

    fn remove(&mut self, serial: u64) -> Option<(Vec<u8>, Window)> {
        let (key, window) = self.windows.remove(&serial)?;
        self.serials.remove(&key);
        self.leave(serial, &window);
        Some((key.into_vec(), window))
    }

    fn enter(&mut self, serial: u64, window: &Window) {
        self.ends.insert((window.end(), serial));
        if let Some(back) = window.back() {
            self.backs.insert((back, serial));
        }
        self.note();
    }

    fn leave(&mut self, serial: u64, window: &Window) {
        self.ends.remove(&(window.end(), serial));
        if let Some(back) = window.back() {
            self.backs.remove(&(back, serial));
        }
        self.note();
    }

    fn note(&mut self) {
        self.soonest = self.ends.first().map(|(end, _)| *end);
        self.latest_back = self.backs.last().map_or(0, |(back, _)| back + 1);
    }
}
