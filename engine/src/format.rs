//! Output strings: `%proc.name`, `%proc.aname[2]`, `%evt.arg.flags`, `%tolower(fd.name)`, `%20proc.name`, and the text and
//! JSON of a field's value. Used by alerts and by `tiercel read`.

use std::{collections::HashSet, fmt::Write as _, io::Write as _};

use crate::{
    address::write_ip,
    facts::OutputValue,
    generated::fields::{FIELDS, Field},
    predicate::operand::Operand,
    render,
    table::{ArgRule, ParamType, PrintFormat},
    value::{Facts, FieldArg, Value},
};

/// Nesting of transformers in an output.
const MAX_DEPTH: usize = 32;

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{0}")]
pub struct FormatError(String);

#[derive(Clone, Debug)]
enum Token {
    Literal(String),
    Field {
        name: String,
        operand: Operand,
        width: Option<usize>,
        /// Whether a token before this has the same name.
        again: bool,
    },
}

/// A compiled output string.
#[derive(Clone, Debug)]
pub struct Format {
    tokens: Vec<Token>,
    /// Whether an absent field prints `<NA>`; otherwise it suppresses the whole line.
    tolerant: bool,
    /// Whether buffers are base64.
    base64: bool,
}

/// How a time field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeStyle {
    Clock,
    ClockSeconds,
    Iso8601,
    DateTime,
    DateTimeSeconds,
}

impl TimeStyle {
    /// UTC text of a time in ns.
    pub fn text(self, ns: u64) -> Vec<u8> {
        let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
        let day = seconds % 86_400;
        let (hour, minute, second) = (day / 3600, day / 60 % 60, day % 60);
        let mut out = Vec::with_capacity(36);
        if matches!(
            self,
            TimeStyle::Iso8601 | TimeStyle::DateTime | TimeStyle::DateTimeSeconds
        ) {
            render::date(seconds, &mut out);
            out.push(if self == TimeStyle::Iso8601 { b'T' } else { b' ' });
        }
        let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
        if !matches!(self, TimeStyle::ClockSeconds | TimeStyle::DateTimeSeconds) {
            let _ = write!(out, ".{fraction:09}");
        }
        if self == TimeStyle::Iso8601 {
            out.extend_from_slice(b"+0000");
        }
        out
    }
}

/// The style of a field that is a time made readable.
pub fn time_of(field: Field) -> Option<TimeStyle> {
    match field {
        Field::EvtTime | Field::EvtOutputtime => Some(TimeStyle::Clock),
        Field::EvtTimeS => Some(TimeStyle::ClockSeconds),
        Field::EvtTimeIso8601 => Some(TimeStyle::Iso8601),
        Field::EvtDatetime => Some(TimeStyle::DateTime),
        Field::EvtDatetimeS => Some(TimeStyle::DateTimeSeconds),
        _ => None,
    }
}

impl Format {
    /// As `sysdig -p`: absent fields suppress the line unless the text begins with `*`.
    pub fn new(text: &str) -> Result<Format, FormatError> {
        match text.strip_prefix('*') {
            Some(rest) => Ok(Format {
                tokens: tokens(rest)?,
                tolerant: true,
                base64: false,
            }),
            None => Ok(Format {
                tokens: tokens(text)?,
                tolerant: false,
                base64: false,
            }),
        }
    }

    /// As the output of a rule: absent fields print `<NA>`.
    pub fn rule(text: &str, base64: bool) -> Result<Format, FormatError> {
        Ok(Format {
            tokens: tokens(text)?,
            tolerant: true,
            base64,
        })
    }

    /// The value of one field or transformer.
    pub fn one(text: &str, base64: bool) -> Result<Format, FormatError> {
        let token = Token::Field {
            name: text.to_owned(),
            operand: operand(text)?,
            width: None,
            again: false,
        };
        Ok(Format {
            tokens: vec![token],
            tolerant: true,
            base64,
        })
    }

    /// The line for an event; none if a field is absent and the format does not tolerate that.
    pub fn line<F: Facts>(&self, facts: &F) -> Option<String> {
        let mut out = Vec::with_capacity(128);
        for token in &self.tokens {
            match token {
                Token::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Token::Field { operand, width, .. } => {
                    let value = operand.value(facts);
                    if value.is_absent() && !self.tolerant {
                        return None;
                    }
                    let piece = self.encoded(operand, &value).unwrap_or_else(|| text(operand, &value));
                    match width {
                        Some(width) => pad(&String::from_utf8_lossy(&piece), *width, &mut out),
                        None => out.extend_from_slice(&piece),
                    }
                }
            }
        }
        Some(String::from_utf8_lossy(&out).into_owned())
    }

    /// The line, absent fields as `<NA>` (of a `rule`).
    pub fn message<F: Facts>(&self, facts: &F) -> String {
        self.line(facts).unwrap_or_default()
    }

    /// Every field of the format once, by the text after its `%`.
    pub fn fields<F: Facts>(&self, facts: &F) -> Vec<(String, OutputValue)> {
        let mut out: Vec<(String, OutputValue)> = Vec::new();
        for token in &self.tokens {
            if let Token::Field {
                name,
                operand,
                again: false,
                ..
            } = token
            {
                let value = if self.base64 {
                    operand.value(facts)
                } else {
                    Value::Absent
                };
                let shown = match self.encoded(operand, &value) {
                    Some(text) => OutputValue::Text(String::from_utf8_lossy(&text).into_owned()),
                    None => json(operand, facts),
                };
                out.push((name.clone(), shown));
            }
        }
        out
    }

    /// The base64 of a buffer, if buffers are to be shown so.
    fn encoded(&self, operand: &Operand, value: &Value<'_>) -> Option<Vec<u8>> {
        match operand {
            Operand::Field(field, _) if self.base64 && field.info().kind == ParamType::Bytebuf => {
                value.bytes().map(base64)
            }
            _ => None,
        }
    }

    /// Names of the fields, as they key `fields`.
    pub fn names(&self) -> Vec<&str> {
        let name = |token| match token {
            &Token::Field {
                ref name, again: false, ..
            } => Some(name.as_str()),
            _ => None,
        };
        self.tokens.iter().filter_map(name).collect()
    }
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits: u32, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        let letters = (0..4).map(|at| LETTERS[(bits >> (18 - 6 * at)) as usize & 63]);
        out.extend(letters.take(group.len() + 1));
        out.resize(out.len() + 3 - group.len(), b'=');
    }
    out
}

/// Cut or padded with blanks to `width` characters.
fn pad(text: &str, width: usize, out: &mut Vec<u8>) {
    let mut count = 0;
    for letter in text.chars().take(width) {
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        count += 1;
    }
    out.resize(out.len() + width - count, b' ');
}

/// The text of an operand's value; `<NA>` if absent.
pub fn text(operand: &Operand, value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(operand, value, &mut out);
    out
}

pub fn write_text(operand: &Operand, value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Absent => out.extend_from_slice(b"<NA>"),
        Value::Int(number) => write_number(operand, *number as u64, *number < 0, out),
        Value::Uint(number) => write_number(operand, *number, false, out),
        Value::Double(number) => drop(write!(out, "{number:.1}")),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Text(bytes) => write_bytes(operand, bytes, out),
        Value::Owned(bytes) => write_bytes(operand, bytes, out),
        Value::Ip(ip) => write_ip(*ip, out),
        Value::Ips(a, b) => {
            write_ip(*a, out);
            out.push(b' ');
            write_ip(*b, out);
        }
        Value::Ports(a, b) => drop(write!(out, "{a} {b}")),
        Value::List(items) => {
            // A field that is no list but has several values (all ancestors) is one text.
            let list = operand.is_list();
            out.extend_from_slice(if list { b"(" } else { b"" });
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(if list { b',' } else { b' ' });
                }
                write_text(operand, item, out);
            }
            out.extend_from_slice(if list { b")" } else { b"" });
        }
    }
}

fn print_format(operand: &Operand) -> PrintFormat {
    if let Operand::Field(field, _) = operand {
        field.info().format
    } else {
        PrintFormat::Dec
    }
}

fn write_number(operand: &Operand, number: u64, negative: bool, out: &mut Vec<u8>) {
    let _ = match print_format(operand) {
        PrintFormat::Hex => write!(out, "{number:X}"),
        PrintFormat::Oct if number == 0 => write!(out, "0"),
        PrintFormat::Oct => write!(out, "0{number:o}"),
        PrintFormat::PaddedDec => write!(out, "{number:09}"),
        _ if negative => write!(out, "{}", number as i64),
        _ => write!(out, "{number}"),
    };
}

/// Buffers show their printable bytes, others as dots; text is as it is.
fn write_bytes(operand: &Operand, bytes: &[u8], out: &mut Vec<u8>) {
    match operand {
        Operand::Field(field, _) if field.info().kind == ParamType::Bytebuf => {
            out.extend(bytes.iter().map(|&byte| {
                if byte.is_ascii_graphic() || byte == b' ' {
                    byte
                } else {
                    b'.'
                }
            }));
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// The value in an alert's output_fields.
fn json<F: Facts>(operand: &Operand, facts: &F) -> OutputValue {
    if let Operand::Field(field, _) = operand
        && time_of(*field).is_some()
    {
        return match facts.field(Field::EvtRawtime, &FieldArg::None) {
            Value::Uint(ns) => OutputValue::Int(ns as i64),
            _ => OutputValue::Null,
        };
    }
    let value = operand.value(facts);
    let plain = matches!(
        print_format(operand),
        PrintFormat::Dec | PrintFormat::PaddedDec | PrintFormat::Id | PrintFormat::Na
    );
    match &value {
        Value::Absent => OutputValue::Null,
        Value::Bool(flag) => OutputValue::Bool(*flag),
        Value::Double(number) => OutputValue::Double(*number),
        Value::Int(number) if plain => OutputValue::Int(*number),
        Value::Uint(number) if plain && i64::try_from(*number).is_ok() => OutputValue::Int(*number as i64),
        Value::List(items) if operand.is_list() => OutputValue::List(
            items
                .iter()
                .map(|item| String::from_utf8_lossy(&text(operand, item)).into_owned())
                .collect(),
        ),
        value => OutputValue::Text(String::from_utf8_lossy(&text(operand, value)).into_owned()),
    }
}

/// The value of a field, as it becomes JSON.
pub fn field_json<F: Facts>(operand: &Operand, facts: &F) -> OutputValue {
    json(operand, facts)
}

/// An operand from its text, the whole of it: `proc.aname[2]`, `tolower(fd.name)`.
pub fn operand(text: &str) -> Result<Operand, FormatError> {
    let mut scanner = Scanner { text, at: 0 };
    match scanner.operand(0) {
        Some(operand) if scanner.at == text.len() => Ok(operand),
        _ => Err(FormatError(format!("unknown filter: {text}"))),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, FormatError> {
    let mut out = Vec::new();
    let mut names = HashSet::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        if at > 0 {
            out.push(Token::Literal(rest[..at].to_owned()));
        }
        rest = &rest[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let width = match &rest[..digits] {
            "" => None,
            digits => Some(
                digits
                    .parse::<u16>()
                    .map_err(|_| FormatError(format!("the width {digits} is too large")))?
                    .into(),
            ),
        };
        rest = &rest[digits..];
        if rest.is_empty() {
            return Err(FormatError("the output ends with a '%'".to_owned()));
        }
        let mut scanner = Scanner { text: rest, at: 0 };
        let Some(operand) = scanner.operand(0) else {
            let shown: String = rest
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .chars()
                .take(60)
                .collect();
            return Err(FormatError(format!("unknown filter: {shown}")));
        };
        out.push(Token::Field {
            name: rest[..scanner.at].to_owned(),
            operand,
            width,
            again: !names.insert(&rest[..scanner.at]),
        });
        rest = &rest[scanner.at..];
    }
    if !rest.is_empty() {
        out.push(Token::Literal(rest.to_owned()));
    }
    Ok(out)
}

/// Reads fields and transformers from the beginning of a text, the longest that resolves.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, letter: char) -> bool {
        let found = self.rest().starts_with(letter);
        self.at += if found { letter.len_utf8() } else { 0 };
        found
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn operand(&mut self, depth: usize) -> Option<Operand> {
        let start = self.at;
        let word = self
            .rest()
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        if depth < MAX_DEPTH && self.rest()[word..].starts_with('(') {
            let name = self.rest()[..word].to_owned();
            self.at += word + 1;
            if let Some(call) = self.call(&name, depth) {
                return Some(call);
            }
        }
        self.at = start;
        self.field()
    }

    fn call(&mut self, name: &str, depth: usize) -> Option<Operand> {
        let mut args = Vec::new();
        loop {
            self.blank();
            args.push(self.argument(depth + 1)?);
            self.blank();
            if self.take(')') {
                break;
            }
            if !self.take(',') {
                return None;
            }
        }
        let behind = self.at;
        let option = self.bracketed();
        if name == "val" {
            return args.pop().filter(|_| args.is_empty());
        }
        if let Some(option) = &option {
            if let Ok(call) = Operand::call(name, args.clone(), Some(option)) {
                return Some(call);
            }
            self.at = behind;
        }
        Operand::call(name, args, None).ok()
    }

    fn argument(&mut self, depth: usize) -> Option<Operand> {
        let first = self.rest().chars().next()?;
        if first == '"' || first == '\'' {
            self.at += 1;
            let end = self.rest().find(first)?;
            let text = self.rest().as_bytes()[..end].to_vec();
            self.at += end + 1;
            return Some(Operand::Text(text));
        }
        let number = self
            .rest()
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.'))
            .count();
        if number > 0 {
            let text = self.rest().as_bytes()[..number].to_vec();
            self.at += number;
            return Some(Operand::Text(text));
        }
        if depth < MAX_DEPTH && self.take('(') {
            let mut items = Vec::new();
            self.blank();
            while !self.take(')') {
                items.push(self.argument(depth + 1)?);
                self.blank();
                if !self.rest().starts_with(')') && !self.take(',') {
                    return None;
                }
                self.blank();
            }
            return Some(Operand::List(items));
        }
        self.operand(depth)
    }

    /// `[argument]`, if it stands here.
    fn bracketed(&mut self) -> Option<String> {
        let inside = self.rest().strip_prefix('[')?;
        let end = inside.find(']')?;
        let argument = inside[..end].trim_matches(['"', '\'']).to_owned();
        self.at += end + 2;
        Some(argument)
    }

    fn field(&mut self) -> Option<Operand> {
        let length = self
            .rest()
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
            .count();
        let word = self.rest()[..length].to_owned();
        // Longest name first; the same field may take a longer or shorter argument.
        for end in (1..=word.len()).rev() {
            let Some(field) = Field::from_name(&word[..end]) else {
                continue;
            };
            let info = field.info();
            if info.filter_only {
                continue;
            }
            let start = self.at;
            self.at = start + end;
            if info.arg == ArgRule::None {
                return Some(Operand::Field(field, FieldArg::None));
            }
            if let Some(arg) = self.field_argument(info.arg_syntax, &word[end..]) {
                return Some(Operand::Field(field, arg));
            }
            if info.arg == ArgRule::Optional {
                return Some(Operand::Field(field, unnamed(field)));
            }
            self.at = start;
        }
        None
    }

    /// The argument of a field whose name ends here; `word` is the dotted text behind it.
    fn field_argument(&mut self, syntax: &str, word: &str) -> Option<FieldArg> {
        if let Some(key) = word.strip_prefix('.') {
            if !syntax.contains('.') {
                return None;
            }
            let known = known_key(key, syntax)?;
            self.at += 1 + known;
            return Some(FieldArg::Key(key[..known].into()));
        }
        let start = self.at;
        let argument = self.bracketed()?;
        let arg = bracket_argument(&argument, syntax);
        if arg.is_none() {
            self.at = start;
        }
        arg
    }
}

/// What a field shows where a condition would ask of all ancestors: these two show the process itself.
fn unnamed(field: Field) -> FieldArg {
    match field {
        Field::ProcApid | Field::ProcAenv => FieldArg::Index(0),
        _ => FieldArg::None,
    }
}

/// How much of `key` is a name that the field knows: the longest.
fn known_key(key: &str, syntax: &str) -> Option<usize> {
    fn longest<'n>(key: &str, names: impl Iterator<Item = &'n str>) -> Option<usize> {
        names.filter(|name| key.starts_with(*name)).map(str::len).max()
    }
    let events = || crate::generated::events::EVENTS.iter();
    match syntax {
        ".subsys" => Some(key.trim_end_matches('.').len()).filter(|&length| length > 0),
        ".src or .dst" => longest(key, ["src", "dst"].into_iter()),
        ".eventname or .code" => match key.bytes().take_while(u8::is_ascii_digit).count() {
            0 => longest(key, events().map(|event| event.name)),
            digits => Some(digits),
        },
        _ => longest(key, events().flat_map(|event| event.params).map(|param| param.name)),
    }
}

/// What stands in brackets, by the field's syntax.
fn bracket_argument(argument: &str, syntax: &str) -> Option<FieldArg> {
    let index = || {
        let plain = argument == "0" || !argument.starts_with('0');
        argument
            .parse::<u32>()
            .ok()
            .filter(|_| plain && argument.bytes().all(|byte| byte.is_ascii_digit()))
            .map(FieldArg::Index)
    };
    let key = || Some(FieldArg::Key(argument.into())).filter(|_| !argument.is_empty());
    match syntax {
        "[NAME]" => key(),
        "[index] or [key]" | "[n] or [NAME]" => index().or_else(key),
        syntax if syntax.starts_with('[') => index(),
        _ => None,
    }
}

/// Every name in the table, for tests and completion.
pub fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.name)
}

/// JSON text of a message, as Falco escapes whole lines.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => drop(write!(out, "\\u{:04x}", control as u32)),
            letter => out.push(letter),
        }
    }
    out
}
