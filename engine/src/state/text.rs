//! Shared text: what a child inherits from its parent is the same bytes in memory.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longest text that is kept whole: more than any path, argument list or environment that the probe tells.
pub const LONGEST: usize = 64 * 1024;

/// Bytes that are cheap to hand on, at most [`LONGEST`]; the empty text allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Option<Arc<[u8]>>);

impl Text {
    pub const fn new() -> Text {
        Text(None)
    }

    /// How many hold these bytes; 0 if there are none.
    pub fn holders(&self) -> usize {
        self.0.as_ref().map_or(0, Arc::strong_count)
    }

    /// Where the bytes are in memory: the same for all who share them; 0 if there are none.
    pub fn address(&self) -> u64 {
        self.0.as_ref().map_or(0, |bytes| bytes.as_ptr().addr() as u64)
    }

    /// `self` again if it says the same as `bytes`, else a new text.
    pub fn or_new(&self, bytes: &[u8]) -> Text {
        if &**self == bytes {
            self.clone()
        } else {
            Text::from(bytes)
        }
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Text {
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        Text((!bytes.is_empty()).then(|| Arc::from(bytes)))
    }
}

impl Hash for Text {
    /// As a slice, so that a slice finds its text in a map.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The strings of a NUL-separated list, without the empty rest after the last NUL.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = list.strip_suffix(b"\0").unwrap_or(list);
    let none = list.is_empty();
    list.split(|b| *b == 0).filter(move |_| !none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_at_their_nuls() {
        let split = |list: &'static [u8]| items(list).collect::<Vec<_>>();
        assert_eq!(split(b""), Vec::<&[u8]>::new());
        assert_eq!(split(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
        assert_eq!(split(b"a"), [b"a"]);
    }

    #[test]
    fn equal_text_is_shared() {
        let text = Text::from(&b"bash"[..]);
        assert!(std::ptr::eq(&*text.or_new(b"bash"), &*text));
        assert_eq!(&*text.or_new(b"sh"), b"sh");
        assert_eq!(Text::from(&b""[..]), Text::new());
        assert_eq!(Text::from(&[b'x'; LONGEST + 1][..]).len(), LONGEST);
    }
}
