//! An event told by its fields: what rule tests are written in, and what the engine's own tests make up.

use crate::{
    generated::{events::EventKind, fields::Field},
    value::{Facts, FieldArg, Value, Version},
};

/// Fields by name and argument; `evt.type` and `syscall.type` follow from the kind, `proc.aname[n]` from the list without index.
#[derive(Clone, Debug)]
pub struct Literal {
    pub kind: EventKind,
    pub values: Vec<(Field, FieldArg, Value<'static>)>,
    pub process_version: Option<Version>,
    pub fd_version: Option<Version>,
}

impl Literal {
    pub fn new(kind: EventKind) -> Literal {
        Literal {
            kind,
            values: Vec::new(),
            process_version: None,
            fd_version: None,
        }
    }

    fn given(&self, field: Field, arg: &FieldArg) -> Option<&Value<'static>> {
        self.values
            .iter()
            .find(|(of, with, _)| *of == field && with == arg)
            .map(|(_, _, value)| value)
    }
}

/// The value again, borrowed where it can be.
fn borrowed<'v>(value: &'v Value<'static>) -> Value<'v> {
    match value {
        Value::Owned(bytes) => Value::Text(bytes),
        Value::List(items) => Value::List(items.iter().map(borrowed).collect()),
        other => other.clone(),
    }
}

impl Facts for Literal {
    fn kind(&self) -> EventKind {
        self.kind
    }

    fn field(&self, field: Field, arg: &FieldArg) -> Value<'_> {
        if let Some(value) = self.given(field, arg) {
            return borrowed(value);
        }
        match (field, arg) {
            (Field::EvtType | Field::SyscallType, _) => Value::Text(self.kind.info().name.as_bytes()),
            (_, FieldArg::Index(place)) if *place > 0 => match self.given(field, &FieldArg::None) {
                Some(Value::List(items)) => items.get(*place as usize - 1).map_or(Value::Absent, borrowed),
                _ => Value::Absent,
            },
            _ => Value::Absent,
        }
    }

    fn process_version(&self) -> Option<Version> {
        self.process_version
    }

    fn fd_version(&self) -> Option<Version> {
        self.fd_version
    }
}
