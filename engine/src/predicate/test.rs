//! One comparison of a condition, compiled: an operand against constants or against another operand.
//!
//! Absence follows Falco: a comparison with a missing value is false, whatever the operator.

use std::{cmp::Ordering, net::IpAddr};

use hashbrown::HashSet;

use super::{
    glob::Glob,
    operand::{Kind, Operand},
    plan::{Constant, PlanError, TestRow, invalid},
    text::{TextTest, Words},
};
use crate::{
    generated::fields::Field,
    value::{Facts, FieldArg, Value},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Exists,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Contains,
    Icontains,
    Startswith,
    Endswith,
    Glob,
    Iglob,
    Regex,
    In,
    Intersects,
    Pmatch,
}

impl Op {
    fn parse(word: &str) -> Result<Op, PlanError> {
        Ok(match word {
            "exists" => Op::Exists,
            "=" => Op::Eq,
            "!=" => Op::Ne,
            "<" => Op::Lt,
            "<=" => Op::Le,
            ">" => Op::Gt,
            ">=" => Op::Ge,
            "contains" | "bcontains" => Op::Contains,
            "icontains" => Op::Icontains,
            "startswith" | "bstartswith" => Op::Startswith,
            "endswith" => Op::Endswith,
            "glob" => Op::Glob,
            "iglob" => Op::Iglob,
            "regex" => Op::Regex,
            "in" => Op::In,
            "intersects" => Op::Intersects,
            "pmatch" => Op::Pmatch,
            _ => return invalid(format!("there is no operator {word:?}")),
        })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Op::Eq => order.is_eq(),
            Op::Ne => order.is_ne(),
            Op::Lt => order.is_lt(),
            Op::Le => order.is_le(),
            Op::Gt => order.is_gt(),
            Op::Ge => order.is_ge(),
            _ => false,
        }
    }
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Net {
    address: IpAddr,
    bits: u32,
}

impl Net {
    fn parse(text: &str) -> Result<Net, PlanError> {
        let wrong = || PlanError::Invalid(format!("{text:?} is no network"));
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: u32 = bits.parse().map_err(|_| wrong())?;
        if bits > if address.is_ipv4() { 32 } else { 128 } {
            Err(wrong())
        } else {
            Ok(Net { address, bits })
        }
    }

    pub fn holds(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                self.bits == 0 || (u32::from(net) ^ u32::from(ip)) >> (32 - self.bits) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                self.bits == 0 || (u128::from(net) ^ u128::from(ip)) >> (128 - self.bits) == 0
            }
            _ => false,
        }
    }
}

/// A comparison of one scalar value with constants.
#[derive(Debug)]
enum Scalar {
    Text(TextTest),
    Number(Op, i128),
    Numbers(HashSet<i128>),
    /// A fraction, against any number.
    Double(Op, f64),
    Doubles(Vec<f64>),
    Bool(Op, bool),
    Bools(Vec<bool>),
    Ip(Op, IpAddr),
    Ips(HashSet<IpAddr>),
    Net(Op, Net),
    Nets(Vec<Net>),
    /// Nothing satisfies it: an empty list.
    Never,
}

#[derive(Clone, Copy, Debug)]
enum Quantity {
    One,
    Any,
    All,
}

#[derive(Debug)]
enum Right {
    Exists,
    Constant(Scalar),
    /// `in` over a list field: every element; `intersects`: one.
    Elements {
        all: bool,
        test: Scalar,
    },
    Each(Quantity, Vec<Scalar>),
    Operand(Op, Operand),
}

#[derive(Debug)]
pub struct Test {
    pub left: Operand,
    right: Right,
}

/// Fields of both ends or of names: `exists` asks whether the descriptor is known at all.
fn asks_for_descriptor(field: Field) -> bool {
    use Field as F;
    matches!(
        field,
        F::FdIp | F::FdPort | F::FdProto | F::FdNet | F::FdCipName | F::FdSipName | F::FdLipName | F::FdRipName
    )
}

impl Test {
    pub fn compile(row: &TestRow, operands: &[Operand]) -> Result<Test, PlanError> {
        let op = Op::parse(&row.op)?;
        let left = match &operands[row.left] {
            Operand::Field(field, _) if op == Op::Exists && asks_for_descriptor(*field) => {
                Operand::Field(Field::FdType, FieldArg::None)
            }
            left => left.clone(),
        };
        let right = match (op, row.right, row.modifier.as_deref()) {
            (Op::Exists, None, None) => Right::Exists,
            (_, Some(_), Some(_)) => return invalid("an operator cannot have a modifier and an operand to its right"),
            (Op::Regex | Op::Pmatch | Op::Exists, Some(_), None) => {
                return invalid(format!("{} cannot compare with an operand", row.op));
            }
            (_, Some(right), None) => Right::Operand(op, operands[right].clone()),
            (_, None, Some(word)) => {
                let quantity = match word {
                    "oneof" => Quantity::One,
                    "anyof" => Quantity::Any,
                    "allof" => Quantity::All,
                    _ => return invalid(format!("there is no modifier {word:?}")),
                };
                Right::each(left.kind(), op, quantity, &row.values)?
            }
            (Op::In | Op::Intersects, None, None) => {
                let test = Scalar::compile(left.kind(), Op::In, &row.values)?;
                if left.is_list() {
                    Right::Elements {
                        all: op == Op::In,
                        test,
                    }
                } else {
                    Right::Constant(test)
                }
            }
            (_, None, None) if left.is_list() => return invalid(format!("{} is not for lists", row.op)),
            (_, None, None) => Right::Constant(Scalar::compile(left.kind(), op, &row.values)?),
        };
        Ok(Test { left, right })
    }

    pub fn matches<F: Facts>(&self, facts: &F) -> bool {
        self.judge(&self.left.value(facts), facts)
    }

    /// As `matches`, of the value that the left operand has on the event.
    pub fn judge<F: Facts>(&self, value: &Value<'_>, facts: &F) -> bool {
        if value.is_absent() {
            return false;
        }
        match &self.right {
            Right::Exists => true,
            Right::Constant(test) => test.matches(value),
            Right::Elements { all, test } => match value {
                Value::List(items) if *all => items.iter().all(|item| test.matches(item)),
                value => test.matches(value),
            },
            Right::Each(quantity, tests) => {
                let mut count = tests.iter().filter(|test| test.matches(value));
                match quantity {
                    Quantity::Any => count.next().is_some(),
                    Quantity::All => !tests.is_empty() && count.count() == tests.len(),
                    Quantity::One => count.next().is_some() && count.next().is_none(),
                }
            }
            Right::Operand(op, right) => compare(*op, value, &right.value(facts)),
        }
    }

    /// As `judge`, without an event.
    pub fn matches_value(&self, value: &Value<'_>) -> bool {
        match &self.right {
            Right::Exists => !value.is_absent(),
            Right::Constant(test) => test.matches(value),
            Right::Each(Quantity::Any, tests) => tests.iter().any(|test| test.matches(value)),
            _ => false,
        }
    }

    /// Whether it compares with constants only, in a way that `matches_value` knows.
    pub fn is_constant(&self) -> bool {
        matches!(
            self.right,
            Right::Exists | Right::Constant(_) | Right::Each(Quantity::Any, _)
        )
    }

    /// What it says of every event, whatever its number, which begins at 1; and of an empty list, which has nothing in it.
    pub fn of_any_number(&self) -> Option<bool> {
        let of_number = self.left == Operand::Field(Field::EvtNum, FieldArg::None);
        match &self.right {
            Right::Constant(Scalar::Never) => Some(false),
            Right::Constant(Scalar::Number(op, constant)) if of_number => match op {
                Op::Eq | Op::Le if *constant < 1 => Some(false),
                Op::Lt if *constant <= 1 => Some(false),
                Op::Ne | Op::Gt if *constant < 1 => Some(true),
                Op::Ge if *constant <= 1 => Some(true),
                _ => None,
            },
            Right::Constant(Scalar::Numbers(set)) if of_number && set.iter().all(|constant| *constant < 1) => {
                Some(false)
            }
            _ => None,
        }
    }

    /// The words of which the text must have one; none for tests that can hold without.
    pub fn words(&self) -> Option<Words> {
        match &self.right {
            Right::Constant(Scalar::Text(test)) => test.words(),
            _ => None,
        }
    }

    /// How much work it is, roughly: for the order of evaluation.
    pub fn weight(&self) -> u32 {
        let left = match &self.left {
            // Rendered for the look-up.
            Operand::Field(Field::EvtArg | Field::EvtArgs | Field::EvtInfo, _) => 20,
            Operand::Field(..) => 0,
            _ => 20,
        };
        left + match &self.right {
            Right::Exists | Right::Constant(Scalar::Number(..) | Scalar::Bool(..) | Scalar::Never) => 0,
            Right::Constant(Scalar::Text(test)) => test.weight(),
            Right::Constant(_) => 2,
            Right::Elements { .. } | Right::Each(..) | Right::Operand(..) => 10,
        }
    }

    /// The operand that it compares with.
    pub fn right_operand(&self) -> Option<&Operand> {
        if let Right::Operand(_, operand) = &self.right {
            Some(operand)
        } else {
            None
        }
    }
}

impl Right {
    fn each(kind: Kind, op: Op, quantity: Quantity, values: &[Constant]) -> Result<Right, PlanError> {
        // One automaton or set instead of many tests, where only "any" is asked.
        if matches!(quantity, Quantity::Any) && kind == Kind::Text {
            let values = values.iter().map(Constant::bytes).collect::<Result<Vec<_>, _>>()?;
            if let Some(test) = TextTest::any(op, &values) {
                return Ok(Right::Constant(Scalar::Text(test)));
            }
            let tests = values
                .iter()
                .map(|value| Ok(Scalar::Text(TextTest::new(op, std::slice::from_ref(value))?)));
            return Ok(Right::Each(quantity, tests.collect::<Result<_, PlanError>>()?));
        }
        let op = if kind == Kind::Ip || kind == Kind::Net {
            Op::Eq
        } else {
            op
        };
        let tests = values
            .iter()
            .map(|value| Scalar::compile(kind, op, std::slice::from_ref(value)));
        Ok(Right::Each(quantity, tests.collect::<Result<_, _>>()?))
    }
}

impl Scalar {
    fn compile(kind: Kind, op: Op, values: &[Constant]) -> Result<Scalar, PlanError> {
        let kind = match (kind, values.first()) {
            (Kind::Any, Some(Constant::Int(_) | Constant::Uint(_))) => Kind::Number,
            (Kind::Any, Some(Constant::Bool(_))) => Kind::Bool,
            (Kind::Any, _) => Kind::Text,
            (kind, _) => kind,
        };
        if op == Op::In && values.is_empty() {
            return Ok(Scalar::Never);
        }
        match kind {
            Kind::Text => {
                let values = values.iter().map(Constant::bytes).collect::<Result<Vec<_>, _>>()?;
                TextTest::new(op, &values).map(Scalar::Text)
            }
            Kind::Number if values.iter().any(|value| matches!(value, Constant::Double(_))) => {
                let numbers = parsed(values, Constant::double, "a number")?;
                Ok(if op == Op::In {
                    Scalar::Doubles(numbers)
                } else {
                    Scalar::Double(order(op)?, one(&numbers)?)
                })
            }
            Kind::Number => {
                let numbers = parsed(values, Constant::number, "a number")?;
                Ok(if op == Op::In {
                    Scalar::Numbers(numbers.into_iter().collect())
                } else {
                    Scalar::Number(order(op)?, one(&numbers)?)
                })
            }
            Kind::Bool => {
                let bools = parsed(
                    values,
                    |value| {
                        if let Constant::Bool(it) = value {
                            Some(*it)
                        } else {
                            None
                        }
                    },
                    "true or false",
                )?;
                Ok(if op == Op::In {
                    Scalar::Bools(bools)
                } else {
                    Scalar::Bool(equality(op)?, one(&bools)?)
                })
            }
            Kind::Ip => {
                let ips = parsed(
                    values,
                    |value| {
                        if let Constant::Text(it) = value {
                            it.parse().ok()
                        } else {
                            None
                        }
                    },
                    "an address",
                )?;
                Ok(if op == Op::In {
                    Scalar::Ips(ips.into_iter().collect())
                } else {
                    Scalar::Ip(equality(op)?, one(&ips)?)
                })
            }
            Kind::Net => {
                let nets = parsed(
                    values,
                    |value| {
                        if let Constant::Text(it) = value {
                            Net::parse(it).ok()
                        } else {
                            None
                        }
                    },
                    "a network",
                )?;
                Ok(if op == Op::In {
                    Scalar::Nets(nets)
                } else {
                    Scalar::Net(equality(op)?, one(&nets)?)
                })
            }
            Kind::Any => unreachable!("replaced by the kind of the first constant"),
        }
    }

    fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (_, Value::Absent) | (Scalar::Never, _) => false,
            // A field that stands for several (all ancestors): one is enough.
            (_, Value::List(items)) => items.iter().any(|item| self.matches(item)),
            (Scalar::Text(test), value) => value.bytes().is_some_and(|text| test.matches(text)),
            (Scalar::Number(op, constant), Value::Ports(a, b)) => {
                either(*op, |op| [a, b].map(|port| op.holds(i128::from(*port).cmp(constant))))
            }
            (Scalar::Numbers(set), Value::Ports(a, b)) => {
                set.contains(&i128::from(*a)) || set.contains(&i128::from(*b))
            }
            (Scalar::Number(op, constant), Value::Double(value)) => ordered(*op, *value, *constant as f64),
            (Scalar::Numbers(set), Value::Double(value)) => set.iter().any(|constant| *constant as f64 == *value),
            (Scalar::Number(op, constant), value) => number(value).is_some_and(|number| op.holds(number.cmp(constant))),
            (Scalar::Numbers(set), value) => number(value).is_some_and(|number| set.contains(&number)),
            (Scalar::Double(op, constant), value) => double(value).is_some_and(|value| ordered(*op, value, *constant)),
            (Scalar::Doubles(set), value) => double(value).is_some_and(|value| set.contains(&value)),
            (Scalar::Bool(op, constant), Value::Bool(value)) => (value == constant) == (*op == Op::Eq),
            (Scalar::Bools(set), Value::Bool(value)) => set.contains(value),
            (Scalar::Ip(op, constant), Value::Ip(ip)) => (ip == constant) == (*op == Op::Eq),
            (Scalar::Ip(op, constant), Value::Ips(a, b)) => (a == constant || b == constant) == (*op == Op::Eq),
            (Scalar::Ips(set), Value::Ip(ip)) => set.contains(ip),
            (Scalar::Ips(set), Value::Ips(a, b)) => set.contains(a) || set.contains(b),
            (Scalar::Net(op, net), Value::Ip(ip)) => net.holds(*ip) == (*op == Op::Eq),
            (Scalar::Net(op, net), Value::Ips(a, b)) => (net.holds(*a) || net.holds(*b)) == (*op == Op::Eq),
            (Scalar::Nets(nets), Value::Ip(ip)) => nets.iter().any(|net| net.holds(*ip)),
            (Scalar::Nets(nets), Value::Ips(a, b)) => nets.iter().any(|net| net.holds(*a) || net.holds(*b)),
            _ => false,
        }
    }
}

/// Either end may satisfy the operator; with `!=` both must.
fn either(op: Op, test: impl Fn(Op) -> [bool; 2]) -> bool {
    let [a, b] = test(op);
    if op == Op::Ne { a && b } else { a || b }
}

fn parsed<T>(values: &[Constant], read: impl Fn(&Constant) -> Option<T>, what: &str) -> Result<Vec<T>, PlanError> {
    values
        .iter()
        .map(|value| read(value).map_or_else(|| invalid(format!("{value:?} is not {what}")), Ok))
        .collect()
}

fn one<T: Copy>(values: &[T]) -> Result<T, PlanError> {
    if let [value] = values {
        Ok(*value)
    } else {
        invalid("the operator takes one constant")
    }
}

fn order(op: Op) -> Result<Op, PlanError> {
    match op {
        Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => Ok(op),
        _ => invalid(format!("{op:?} is not for numbers")),
    }
}

fn equality(op: Op) -> Result<Op, PlanError> {
    match op {
        Op::Eq | Op::Ne => Ok(op),
        _ => invalid(format!("{op:?} is not for truth values, addresses and networks")),
    }
}

fn number(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    }
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        other => number(other).map(|number| number as f64),
    }
}

fn ordered(op: Op, left: f64, right: f64) -> bool {
    left.partial_cmp(&right).is_some_and(|order| op.holds(order))
}

/// Field against field.
fn compare(op: Op, left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Absent, _) | (_, Value::Absent) => false,
        (Value::List(items), right) if op == Op::In => items.iter().all(|item| is_among(item, right)),
        (Value::List(items), right) if op == Op::Intersects => items.iter().any(|item| is_among(item, right)),
        (left, right) if matches!(op, Op::In | Op::Intersects) => is_among(left, right),
        (Value::Ip(a), Value::Ip(b)) => (a == b) == (op == Op::Eq) && matches!(op, Op::Eq | Op::Ne),
        (Value::Bool(a), Value::Bool(b)) => op.holds(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => ordered(op, *a, *b),
        (left, right) => match (left.bytes(), right.bytes(), number(left), number(right)) {
            (Some(left), Some(right), ..) => match op {
                Op::Contains => memchr::memmem::find(left, right).is_some(),
                Op::Icontains => {
                    memchr::memmem::find(&left.to_ascii_lowercase(), &right.to_ascii_lowercase()).is_some()
                }
                Op::Startswith => left.starts_with(right),
                Op::Endswith => left.ends_with(right),
                Op::Glob | Op::Iglob => Glob::new(right, op == Op::Iglob).matches(left),
                _ => op.holds(left.cmp(right)),
            },
            (_, _, Some(left), Some(right)) => op.holds(left.cmp(&right)),
            _ => false,
        },
    }
}

fn is_among(item: &Value<'_>, right: &Value<'_>) -> bool {
    match right {
        Value::List(items) => items.iter().any(|other| compare(Op::Eq, item, other)),
        other => compare(Op::Eq, item, other),
    }
}
