//! What a field yields on an event: the meeting point of fields, predicates and formatting.

use std::net::IpAddr;

/// A value of a field. Text is bytes: paths and command lines need not be UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The field has no value here: every comparison is false.
    Absent,
    Int(i64),
    Uint(u64),
    Double(f64),
    Bool(bool),
    Text(&'a [u8]),
    /// Text made for this look-up (a joined path, rendered arguments).
    Owned(Vec<u8>),
    Ip(IpAddr),
    /// Both ends of a connection (`fd.ip`, `fd.net`): either may match.
    Ips(IpAddr, IpAddr),
    /// Both ports of a connection (`fd.port`).
    Ports(u16, u16),
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Absent)
    }

    /// The bytes of a text value.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Text(text) => Some(text),
            Value::Owned(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(text: Option<&'a [u8]>) -> Value<'a> {
        text.map_or(Value::Absent, Value::Text)
    }
}

/// The argument of a field: `proc.aname[2]`, `evt.arg.flags`, `proc.env[HOME]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldArg {
    None,
    Index(u32),
    Key(Box<str>),
}

/// Of a process's facts, and of what is known of containers where it is in one; of a descriptor, and of interfaces.
pub type Version = (u64, u64);

/// What rules and output formats ask of an event. Implemented by the state's view of one event; by literals in tests.
pub trait Facts {
    fn kind(&self) -> crate::generated::events::EventKind;

    /// The value of a field on this event. Borrows from the state where it can.
    fn field(&self, field: crate::generated::fields::Field, arg: &FieldArg) -> Value<'_>;

    /// While this is the same, every field of scope process, user and container is, too; no two hosts that share a rule
    /// set have the same. `None`: no process.
    fn process_version(&self) -> Option<Version>;

    /// Likewise for the fields of scope fd.
    fn fd_version(&self) -> Option<Version>;
}
