//! `regex`: RE2's dialect on the regex crate, which is linear in time as well. The whole text must match.

use regex::{Regex, RegexBuilder};

/// Compile a pattern of RE2.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!(r"\A(?:{})\z", translate(pattern)))
        .size_limit(1 << 22)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        })
}

/// Where the two dialects differ: Perl's classes are ASCII in RE2, brackets and operators within a class are literal, a
/// brace that opens no repetition is literal, `\<` is a `<`, `\Q…\E` quotes.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    let mut class: Option<u32> = None;
    while let Some(letter) = rest.next() {
        match (letter, class) {
            ('\\', _) => {
                let Some(escaped) = rest.next() else {
                    out.push('\\');
                    break;
                };
                if escaped == 'Q' {
                    let text: String = rest.clone().collect();
                    let quoted = text.split("\\E").next().unwrap_or_default();
                    let skip = quoted.chars().count() + if text.len() > quoted.len() { 2 } else { 0 };
                    for _ in 0..skip {
                        rest.next();
                    }
                    out.push_str(&regex::escape(quoted));
                } else {
                    escape(escaped, class.is_some(), &mut out);
                    if matches!(escaped, 'p' | 'P' | 'x') && rest.peek() == Some(&'{') {
                        braced(&mut rest, &mut out);
                    }
                }
            }
            ('[', None) => {
                class = Some(0);
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if rest.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ('[', Some(_)) if rest.peek() == Some(&':') => {
                out.push('[');
                for inner in rest.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            (']', Some(_)) => {
                class = None;
                out.push(']');
            }
            ('[' | '&' | '~', Some(_)) => out.extend(['\\', letter]),
            ('-', Some(_)) if rest.peek() == Some(&'-') => out.push_str("\\-"),
            ('{', None) if repetition(&rest.clone().collect::<String>()) => {
                out.push('{');
                braced(&mut rest, &mut out);
            }
            ('{' | '}', None) => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
    }
    out
}

fn escape(letter: char, in_class: bool, out: &mut String) {
    match (letter, in_class) {
        ('d', false) => out.push_str("[0-9]"),
        ('d', true) => out.push_str("0-9"),
        ('D', _) => out.push_str("[^0-9]"),
        ('w', false) => out.push_str("[0-9A-Za-z_]"),
        ('w', true) => out.push_str("0-9A-Za-z_"),
        ('W', _) => out.push_str("[^0-9A-Za-z_]"),
        ('s', false) => out.push_str(r"[\t\n\f\r ]"),
        ('s', true) => out.push_str(r"\t\n\f\r "),
        ('S', _) => out.push_str(r"[^\t\n\f\r ]"),
        ('b', false) => out.push_str(r"(?-u:\b)"),
        ('C', false) => out.push_str("(?s:.)"),
        ('<' | '>', _) => out.push(letter),
        _ => out.extend(['\\', letter]),
    }
}

/// Whether the text behind a `{` makes it a repetition.
fn repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else {
        return false;
    };
    let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

/// Copy up to the closing brace: of a repetition, or of a name of a class (`\p{Greek}`, `\x{10ffff}`).
fn braced(rest: &mut impl Iterator<Item = char>, out: &mut String) {
    for inner in rest {
        out.push(inner);
        if inner == '}' {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn res_dialect() {
        let yes = [
            ("a.c", "abc"),
            (r"\d+", "123"),
            ("[a[]+", "a["),
            ("a{", "a{"),
            ("a{2}", "aa"),
            (r"\Qa.b\E.", "a.bX"),
            ("[&&a]", "&"),
            (r"[\w.]+", "a_1."),
            (r"\p{Greek}", "α"),
            ("[]a]", "]"),
            (r"\/x", "/x"),
            ("(?i)ABC", "abc"),
            ("", ""),
            ("x{a}", "x{a}"),
            (r"\bfoo\b", "foo"),
            ("[[:alpha:]]", "q"),
            (r"a\.b", "a.b"),
        ];
        for (pattern, text) in yes {
            assert!(compile(pattern).unwrap().is_match(text), "{pattern} {text}");
        }
        for (pattern, text) in [("b", "abc"), (r"\d", "٣"), ("a.c", "a\nc"), ("a|b", "ab")] {
            assert!(!compile(pattern).unwrap().is_match(text), "{pattern} {text}");
        }
        assert!(compile("(").is_err());
        assert!(compile("(a{1000}){1000}").is_err());
    }
}
