//! Shell patterns over bytes, as fnmatch without flags: `*` crosses `/`, a leading dot is nothing special.

#[derive(Clone, Debug)]
enum Token {
    Star,
    Any,
    Byte(u8),
    Class(Box<[u64; 4]>),
}

/// A compiled pattern. Matching is greedy with one point of return: at worst pattern times text, never exponential.
#[derive(Clone, Debug)]
pub struct Glob {
    tokens: Vec<Token>,
    fold: bool,
}

impl Glob {
    pub fn new(pattern: &[u8], fold: bool) -> Glob {
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < pattern.len() {
            let (token, next) = match pattern[at] {
                b'*' => (Token::Star, at + 1),
                b'?' => (Token::Any, at + 1),
                b'[' => class(pattern, at + 1, fold).unwrap_or((Token::Byte(b'['), at + 1)),
                b'\\' if at + 1 < pattern.len() => (Token::Byte(folded(pattern[at + 1], fold)), at + 2),
                byte => (Token::Byte(folded(byte, fold)), at + 1),
            };
            if !matches!((&token, tokens.last()), (Token::Star, Some(Token::Star))) {
                tokens.push(token);
            }
            at = next;
        }
        Glob { tokens, fold }
    }

    /// What every text that it matches begins with.
    pub fn beginning(&self) -> Vec<u8> {
        let bytes = self.tokens.iter().map_while(|token| match token {
            Token::Byte(byte) if !self.fold => Some(*byte),
            _ => None,
        });
        bytes.collect()
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        loop {
            let fits = match self.tokens.get(token) {
                Some(Token::Star) => {
                    back = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                None if at == text.len() => return true,
                None => false,
                Some(_) if at == text.len() => false,
                Some(Token::Any) => true,
                Some(Token::Byte(byte)) => folded(text[at], self.fold) == *byte,
                Some(Token::Class(set)) => holds(set, folded(text[at], self.fold)),
            };
            if fits {
                (at, token) = (at + 1, token + 1);
            } else {
                match back {
                    Some((after, start)) if start < text.len() => {
                        back = Some((after, start + 1));
                        (at, token) = (start + 1, after);
                    }
                    _ => return false,
                }
            }
        }
    }
}

/// Whether a pattern has anything but literal bytes.
pub fn is_glob(pattern: &[u8]) -> bool {
    memchr::memchr3(b'*', b'?', b'[', pattern).is_some()
}

fn folded(byte: u8, fold: bool) -> u8 {
    if fold { byte.to_ascii_lowercase() } else { byte }
}

fn holds(set: &[u64; 4], byte: u8) -> bool {
    set[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
}

fn add(set: &mut [u64; 4], byte: u8) {
    set[usize::from(byte >> 6)] |= 1 << (byte & 63);
}

/// The bracket expression whose first byte is at `at`, and the place behind it; none if it is not closed.
fn class(pattern: &[u8], mut at: usize, fold: bool) -> Option<(Token, usize)> {
    let mut set = [0; 4];
    let negated = matches!(pattern.get(at)?, b'!' | b'^');
    at += usize::from(negated);
    let first = at;
    loop {
        let byte = *pattern.get(at)?;
        if byte == b']' && at > first {
            break;
        }
        if byte == b'['
            && pattern.get(at + 1) == Some(&b':')
            && let Some((test, next)) = named(pattern, at + 2)
        {
            (0..=255)
                .filter(test)
                .for_each(|byte: u8| add(&mut set, folded(byte, fold)));
            at = next;
            continue;
        }
        let (low, next) = member(pattern, at)?;
        at = next;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|&end| end != b']') {
            (high, at) = member(pattern, at + 1)?;
        }
        (low..=high).for_each(|byte| {
            add(&mut set, folded(byte, fold));
        });
    }
    if negated {
        set = set.map(|word| !word);
    }
    Some((Token::Class(Box::new(set)), at + 1))
}

/// One byte of a bracket expression, which may be escaped.
fn member(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match *pattern.get(at)? {
        b'\\' => Some((*pattern.get(at + 1)?, at + 2)),
        byte => Some((byte, at + 1)),
    }
}

type ByteTest = fn(&u8) -> bool;

/// `alpha:]` and the like.
fn named(pattern: &[u8], at: usize) -> Option<(ByteTest, usize)> {
    let end = at + pattern[at..].windows(2).position(|pair| pair == b":]")?;
    let test: ByteTest = match &pattern[at..end] {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"upper" => u8::is_ascii_uppercase,
        b"lower" => u8::is_ascii_lowercase,
        b"punct" => u8::is_ascii_punctuation,
        b"xdigit" => u8::is_ascii_hexdigit,
        b"cntrl" => u8::is_ascii_control,
        b"graph" => u8::is_ascii_graphic,
        b"print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        _ => return None,
    };
    Some((test, end + 2))
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn as_fnmatch() {
        let yes = [
            ("*", ""),
            ("a*b", "a/x/b"),
            ("?", "."),
            ("[a-c]x", "bx"),
            ("[!a]x", "bx"),
            ("[]]", "]"),
            ("\\*", "*"),
            ("a*b*c", "aXbXbXc"),
            ("[[:digit:]]*", "4x"),
            ("[", "["),
            ("*.so.?", "lib.so.6"),
            ("[a-]", "-"),
        ];
        let no = [
            ("a", "A"),
            ("?", ""),
            ("a*b", "abc"),
            ("[!a]", "a"),
            ("\\*", "x"),
            ("a*b*c", "acb"),
            ("[a-c]", "d"),
        ];
        for (pattern, text) in yes {
            assert!(
                Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()),
                "{pattern} {text}"
            );
        }
        for (pattern, text) in no {
            assert!(
                !Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()),
                "{pattern} {text}"
            );
        }
        assert!(Glob::new(b"A*[X-Z]", true).matches(b"aBCy"));
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = b"*a".repeat(120);
        assert!(!Glob::new(&pattern, false).matches(&[b'a'; 100]));
        assert!(!Glob::new(&pattern, false).matches(&[b'b'; 100_000]));
    }
}
