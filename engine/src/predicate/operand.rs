//! Operands: fields, constants, and the transformers over them. What stands left of an operator, right of it, or in an output.

use super::plan::{Constant, OperandRow, PlanError, field_named, invalid};
use crate::{
    format,
    generated::fields::Field,
    table::{ArgRule, FieldInfo, ParamType, Scope},
    value::{Facts, FieldArg, Value},
};

/// What a value is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Bool,
    Text,
    Ip,
    Net,
    /// `evt.rawarg`: whatever the parameter is.
    Any,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Field(Field, FieldArg),
    Text(Vec<u8>),
    Number(i64),
    List(Vec<Operand>),
    Lower(Box<Operand>),
    Upper(Box<Operand>),
    Basename(Box<Operand>),
    Base64(Box<Operand>),
    Len(Box<Operand>),
    Join(Box<Operand>, Box<Operand>),
    Concat(Vec<Operand>),
    Getopt {
        args: Box<Operand>,
        options: Vec<u8>,
        wanted: Option<u8>,
    },
}

impl Operand {
    /// Compile one row; `done` are the rows before it.
    pub fn compile(row: &OperandRow, done: &[Operand]) -> Result<Operand, PlanError> {
        Ok(match row {
            OperandRow::Field { name, index, key } => {
                let (field, info) = field_named(name)?;
                let arg = match (index, key) {
                    (Some(index), None) => FieldArg::Index(*index),
                    (None, Some(key)) => FieldArg::Key(key.as_str().into()),
                    (None, None) => FieldArg::None,
                    _ => return invalid(format!("{name} cannot have an index and a key")),
                };
                Operand::field(field, info, arg)?
            }
            OperandRow::Constant(Constant::Int(number)) => Operand::Number(*number),
            OperandRow::Constant(constant) => Operand::Text(constant.bytes()?),
            OperandRow::List(items) => Operand::List(items.iter().map(|&item| done[item].clone()).collect()),
            OperandRow::Call { name, args, option } => Operand::call(
                name,
                args.iter().map(|&arg| done[arg].clone()).collect(),
                option.as_deref(),
            )?,
        })
    }

    pub fn field(field: Field, info: &FieldInfo, arg: FieldArg) -> Result<Operand, PlanError> {
        match (info.arg, &arg) {
            (ArgRule::None, FieldArg::Index(_) | FieldArg::Key(_)) => {
                invalid(format!("{} takes no argument", info.name))
            }
            (ArgRule::Required, FieldArg::None) => invalid(format!("{} needs an argument", info.name)),
            _ => Ok(Operand::Field(field, arg)),
        }
    }

    /// A transformer over its arguments.
    pub fn call(name: &str, mut args: Vec<Operand>, option: Option<&str>) -> Result<Operand, PlanError> {
        if option.is_some() && name != "getopt" {
            return invalid(format!("{name}() takes no [option]"));
        }
        let wrong = |what: &str| invalid(format!("{name}() {what}"));
        if let Some(field) = args.iter().find_map(|arg| match arg {
            Operand::Field(field, _) if field.info().no_transformer => Some(field.info().name),
            _ => None,
        }) {
            return wrong(&format!("cannot transform {field}"));
        }
        let one = |args: Vec<Operand>| <[Operand; 1]>::try_from(args).map(|[arg]| Box::new(arg));
        let textual = |arg: &Operand| arg.kind() == Kind::Text;
        Ok(match name {
            "tolower" | "toupper" | "basename" | "b64" | "len" => {
                let Ok(arg) = one(args) else {
                    return wrong("takes one argument");
                };
                if !(textual(&arg) || name == "len" && arg.is_list()) {
                    return wrong("takes text");
                }
                match name {
                    "tolower" => Operand::Lower(arg),
                    "toupper" => Operand::Upper(arg),
                    "basename" => Operand::Basename(arg),
                    "b64" => Operand::Base64(arg),
                    _ => Operand::Len(arg),
                }
            }
            "join" => match <[Operand; 2]>::try_from(args) {
                Ok([separator, list]) if list.is_list() && textual(&separator) && !separator.is_list() => {
                    Operand::Join(Box::new(separator), Box::new(list))
                }
                _ => return wrong("takes a separator and a list"),
            },
            "concat" if args.len() >= 2 && args.iter().all(|arg| !arg.is_list()) => Operand::Concat(args),
            "concat" => return wrong("takes two or more texts"),
            "getopt" => {
                let options = match (args.pop(), args.len()) {
                    (Some(Operand::Text(options)), 1) if args[0].is_list() => options,
                    _ => return wrong("takes a list of arguments and the options as text"),
                };
                let wanted = match option.map(str::as_bytes) {
                    None => None,
                    Some([letter]) => Some(*letter),
                    Some(_) => return wrong("takes an [option] of one letter"),
                };
                Operand::Getopt {
                    args: Box::new(args.remove(0)),
                    options,
                    wanted,
                }
            }
            _ => return wrong("is no transformer"),
        })
    }

    /// Whether a value of it is a list by type (not: a field that stands for several ancestors).
    pub fn is_list(&self) -> bool {
        match self {
            Operand::Field(field, _) => field.info().list,
            Operand::List(_) => true,
            Operand::Getopt { wanted, .. } => wanted.is_none(),
            Operand::Lower(arg) | Operand::Upper(arg) | Operand::Basename(arg) | Operand::Base64(arg) => arg.is_list(),
            Operand::Text(_) | Operand::Number(_) | Operand::Len(_) | Operand::Join(..) | Operand::Concat(_) => false,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Operand::Field(field, _) => kind_of(field.info().kind),
            Operand::Number(_) | Operand::Len(_) => Kind::Number,
            _ => Kind::Text,
        }
    }

    /// How many tests of it a look-up is worth; none if it is never: a text that lies in the state as it is, one that is put
    /// together, one that is rendered.
    pub fn fewest_of_a_lookup(&self) -> Option<usize> {
        use Field as F;
        let Operand::Field(field, arg) = self else { return None };
        match field {
            F::EvtType | F::SyscallType => Some(1),
            F::FdName | F::FdDirectory | F::FdFilename => Some(1),
            F::ProcName | F::ProcPname | F::ProcExe | F::ProcExepath | F::ProcPexe | F::ProcPexepath | F::ProcCwd => {
                Some(1)
            }
            F::ProcAname | F::ProcAexepath | F::ProcAexe if matches!(arg, FieldArg::Index(_)) => Some(1),
            F::ContainerId | F::ContainerName | F::ContainerImageRepository => Some(1),
            F::ProcArgs | F::ProcCmdline | F::ProcPcmdline if matches!(arg, FieldArg::None) => Some(4),
            _ => None,
        }
    }

    /// The shortest-lived scope of the fields in it: how long its value can be kept.
    pub fn scope(&self) -> Scope {
        match self {
            Operand::Field(field, _) => field.info().scope,
            Operand::Text(_) | Operand::Number(_) => Scope::Host,
            Operand::List(args) | Operand::Concat(args) => {
                args.iter().fold(Scope::Host, |scope, arg| narrower(scope, arg.scope()))
            }
            Operand::Lower(arg)
            | Operand::Upper(arg)
            | Operand::Basename(arg)
            | Operand::Base64(arg)
            | Operand::Len(arg) => arg.scope(),
            Operand::Join(separator, list) => narrower(separator.scope(), list.scope()),
            Operand::Getopt { args, .. } => args.scope(),
        }
    }

    /// Its value on an event.
    pub fn value<'f, F: Facts>(&'f self, facts: &'f F) -> Value<'f> {
        match self {
            Operand::Field(field, arg) => match format::time_of(*field) {
                Some(style) => match facts.field(Field::EvtRawtime, &FieldArg::None) {
                    Value::Uint(ns) => Value::Owned(style.text(ns)),
                    _ => Value::Absent,
                },
                None => facts.field(*field, arg),
            },
            Operand::Text(text) => Value::Text(text),
            Operand::Number(number) => Value::Int(*number),
            Operand::List(items) => {
                all_present(items.iter().map(|item| item.value(facts))).map_or(Value::Absent, Value::List)
            }
            Operand::Lower(arg) => each_text(arg.value(facts), |text| Some(text.to_ascii_lowercase())),
            Operand::Upper(arg) => each_text(arg.value(facts), |text| Some(text.to_ascii_uppercase())),
            Operand::Basename(arg) => each_text(arg.value(facts), |text| {
                Some(text[memchr::memrchr(b'/', text).map_or(0, |slash| slash + 1)..].to_vec())
            }),
            Operand::Base64(arg) => each_text(arg.value(facts), base64_decoded),
            Operand::Len(arg) => match arg.value(facts) {
                Value::List(items) => Value::Uint(items.len() as u64),
                value => value
                    .bytes()
                    .map_or(Value::Absent, |text| Value::Uint(text.len() as u64)),
            },
            Operand::Join(separator, list) => join(separator, list, facts),
            Operand::Concat(args) => texts(args, facts).map_or(Value::Absent, |texts| Value::Owned(texts.concat())),
            Operand::Getopt { args, options, wanted } => getopt(&args.value(facts), options, *wanted),
        }
    }
}

pub fn kind_of(kind: ParamType) -> Kind {
    use ParamType::*;
    match kind {
        Charbuf | Fspath | Fsrelpath | Bytebuf => Kind::Text,
        Bool => Kind::Bool,
        Ipv4addr | Ipv6addr | Ipaddr => Kind::Ip,
        Ipv4net | Ipv6net | Ipnet => Kind::Net,
        Dyn => Kind::Any,
        Int8 | Int16 | Int32 | Int64 | Uint8 | Uint16 | Uint32 | Uint64 | Errno | Fd | Pid | Syscallid | Sigtype
        | Reltime | Abstime | Port | L4proto | Sockfamily | Flags8 | Flags16 | Flags32 | Uid | Gid | Double | Mode
        | Enumflags8 | Enumflags16 | Enumflags32 | Fd32 | Pid32 => Kind::Number,
        Sockaddr | Socktuple | Fdlist | Sigset | Charbufarray | CharbufPairArray => Kind::Text,
    }
}

/// The scope that lives for the shorter time.
pub fn narrower(a: Scope, b: Scope) -> Scope {
    // Users and containers are known with the process.
    let lifted = |scope| match scope {
        Scope::User | Scope::Container => Scope::Process,
        other => other,
    };
    match (lifted(a), lifted(b)) {
        (Scope::Host, other) | (other, Scope::Host) => other,
        (a, b) if a == b => a,
        _ => Scope::Event,
    }
}

fn all_present<'f>(values: impl Iterator<Item = Value<'f>>) -> Option<Vec<Value<'f>>> {
    values
        .map(|value| if value.is_absent() { None } else { Some(value) })
        .collect()
}

/// The text of every operand, none if one has no value.
fn texts<F: Facts>(operands: &[Operand], facts: &F) -> Option<Vec<Vec<u8>>> {
    operands
        .iter()
        .map(|operand| {
            let value = operand.value(facts);
            (!value.is_absent()).then(|| format::text(operand, &value))
        })
        .collect()
}

fn join<'f, F: Facts>(separator: &'f Operand, list: &'f Operand, facts: &'f F) -> Value<'f> {
    let between = separator.value(facts);
    let parts = match list {
        Operand::List(items) => texts(items, facts),
        other => match other.value(facts) {
            Value::List(items) => Some(items.iter().map(|item| format::text(other, item)).collect()),
            _ => None,
        },
    };
    match (between.bytes(), parts) {
        (Some(between), Some(parts)) => Value::Owned(parts.join(between)),
        _ => Value::Absent,
    }
}

fn each_text<'f>(value: Value<'f>, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Value<'f> {
    let one = |value: &Value<'_>| value.bytes().and_then(&change).map_or(Value::Absent, Value::Owned);
    match value {
        Value::List(items) => all_present(items.iter().map(one)).map_or(Value::Absent, Value::List),
        value => one(&value),
    }
}

/// Decoded base64; padding may be missing.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let body = &text[..text.len() - text.iter().rev().take_while(|&&byte| byte == b'=').count()];
    let padding = text.len() - body.len();
    if padding > 2 || body.len() % 4 == 1 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 2);
    for group in body.chunks(4) {
        let mut bits: u32 = 0;
        for &byte in group {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        bits <<= 6 * (4 - group.len());
        // Bits beyond the last whole byte must be zero: other text only looks like base64.
        if bits.trailing_zeros() < 8 * (4 - group.len() as u32) {
            return None;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// Short options as POSIX getopt finds them: their letters (`?` for unknown ones), or the last value given for one.
fn getopt<'f>(args: &Value<'f>, options: &[u8], wanted: Option<u8>) -> Value<'f> {
    let Value::List(args) = args else { return Value::Absent };
    let args: Vec<&[u8]> = args.iter().filter_map(Value::bytes).collect();
    let known = |letter: u8| options.iter().position(|&option| option == letter && letter != b':');
    let (mut found, mut value, mut at) = (Vec::new(), None, 0);
    while let Some(arg) = args.get(at) {
        at += 1;
        if *arg == b"--" || arg.len() < 2 || arg[0] != b'-' {
            break;
        }
        if arg.starts_with(b"--") {
            continue;
        }
        let mut letters = &arg[1..];
        while let Some((&letter, rest)) = letters.split_first() {
            letters = rest;
            let Some(place) = known(letter) else {
                found.push(Value::Owned(vec![b'?']));
                continue;
            };
            found.push(Value::Owned(vec![letter]));
            let mut given: &[u8] = b"";
            if options.get(place + 1) == Some(&b':') {
                if !letters.is_empty() {
                    given = letters;
                } else if options.get(place + 2) != Some(&b':') {
                    given = args.get(at).copied().unwrap_or_default();
                    at += 1;
                }
                letters = b"";
            }
            if wanted == Some(letter) {
                value = Some(given.to_vec());
            }
        }
    }
    match wanted {
        Some(_) => value.map_or(Value::Absent, Value::Owned),
        None => Value::List(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_with_and_without_padding() {
        assert_eq!(base64_decoded(b"aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64_decoded(b"aGVsbG8"), Some(b"hello".to_vec()));
        assert_eq!(base64_decoded(b""), Some(vec![]));
        for bad in [&b"a"[..], b"aGVsbG8==", b"a b=", b"====", b"cat", b"h1"] {
            assert_eq!(base64_decoded(bad), None);
        }
    }

    #[test]
    fn options_as_posix_finds_them() {
        let args = Value::List(
            ["-rn", "-t", "x", "--long", "-tlate", "-z", "file", "-q"]
                .map(|arg| Value::Text(arg.as_bytes()))
                .to_vec(),
        );
        let Value::List(found) = getopt(&args, b"rnt:q", None) else {
            panic!()
        };
        let letters: Vec<u8> = found.iter().map(|letter| letter.bytes().unwrap()[0]).collect();
        assert_eq!(letters, b"rntt?");
        assert_eq!(getopt(&args, b"rnt:", Some(b't')), Value::Owned(b"late".to_vec()));
        assert_eq!(getopt(&args, b"rnt:q", Some(b'q')), Value::Absent);
        assert_eq!(getopt(&args, b"rnt:", Some(b'r')), Value::Owned(vec![]));
    }
}
