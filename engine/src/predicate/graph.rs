//! The graph of predicates: each node is evaluated at most once per event, and what is true of a process or a descriptor is
//! kept across events.

use super::{
    cache::Cache,
    operand::{Operand, narrower},
    plan::{NodeRow, Plan, PlanError},
    test::Test,
};
use crate::{
    generated::{
        events::{EVENT_COUNT, EventKind, KINDS},
        fields::Field,
    },
    table::{Scope, Source},
    value::{Facts, FieldArg, Value},
};

/// Rows of the caches of processes and of descriptors.
const ROWS: usize = 4096;

#[derive(Debug)]
enum Logic {
    All(Box<[u32]>),
    Any(Box<[u32]>),
    Not(u32),
    Test(Box<Test>),
    /// A test of the event's type, answered by kind; what the kind alone does not tell is asked of `facts`.
    Kind(Box<[Option<bool>; EVENT_COUNT]>, Box<Test>),
}

#[derive(Clone, Copy, Debug)]
enum Memo {
    Event,
    Process(u32),
    Fd(u32),
}

#[derive(Debug)]
struct Node {
    logic: Logic,
    memo: Memo,
}

#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Per node: event number << 1 | result.
    seen: Vec<u64>,
    event: u64,
    processes: Cache,
    fds: Cache,
    process: Row,
    fd: Row,
}

/// Where the process (or descriptor) of this event has its row.
#[derive(Clone, Copy, Debug)]
enum Row {
    Unasked,
    None,
    At(usize),
}

impl Graph {
    pub fn compile(plan: &Plan) -> Result<Graph, PlanError> {
        let mut operands: Vec<Operand> = Vec::with_capacity(plan.operands.len());
        for row in &plan.operands {
            let operand = Operand::compile(row, &operands)?;
            operands.push(operand);
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(plan.nodes.len());
        let (mut scopes, mut costs, mut processes, mut fds) = (Vec::new(), Vec::new(), 0, 0);
        for row in &plan.nodes {
            let (mut logic, scope) = compile(row, &operands, &scopes)?;
            let next = |count: &mut u32| {
                *count += 1;
                *count - 1
            };
            let memo = match scope {
                Scope::Process | Scope::User => Memo::Process(next(&mut processes)),
                Scope::Fd => Memo::Fd(next(&mut fds)),
                Scope::Event | Scope::Container | Scope::Host => Memo::Event,
            };
            if let Logic::All(children) | Logic::Any(children) = &mut logic {
                // Operands have no effects, so what is cheap goes first; among equals the author's order stays.
                children.sort_by_key(|&child| costs[child as usize]);
            }
            costs.push(cost(&logic, memo, &costs));
            nodes.push(Node { logic, memo });
            scopes.push(scope);
        }
        Ok(Graph {
            seen: vec![0; nodes.len()],
            nodes,
            event: 0,
            processes: Cache::new(processes as usize, ROWS),
            fds: Cache::new(fds as usize, ROWS),
            process: Row::Unasked,
            fd: Row::Unasked,
        })
    }

    /// Go on to the next event: forget what was true of the last one only.
    pub fn begin(&mut self) {
        self.event += 1;
        self.process = Row::Unasked;
        self.fd = Row::Unasked;
    }

    /// Whether node `index` holds on the event of `facts`, the same for all calls since `begin`.
    pub fn holds<F: Facts>(&mut self, index: u32, facts: &F) -> bool {
        let at = index as usize;
        match self.nodes[at].memo {
            Memo::Event => self.of_event(at, facts),
            Memo::Process(slot) => {
                if let Row::Unasked = self.process {
                    self.process = facts
                        .process_version()
                        .map_or(Row::None, |version| Row::At(self.processes.row(version)));
                }
                let Row::At(row) = self.process else {
                    return self.of_event(at, facts);
                };
                self.processes.get(row, slot).unwrap_or_else(|| {
                    let result = self.compute(at, facts);
                    self.processes.set(row, slot, result);
                    result
                })
            }
            Memo::Fd(slot) => {
                if let Row::Unasked = self.fd {
                    self.fd = facts
                        .fd_version()
                        .map_or(Row::None, |version| Row::At(self.fds.row(version)));
                }
                let Row::At(row) = self.fd else {
                    return self.of_event(at, facts);
                };
                self.fds.get(row, slot).unwrap_or_else(|| {
                    let result = self.compute(at, facts);
                    self.fds.set(row, slot, result);
                    result
                })
            }
        }
    }

    fn of_event<F: Facts>(&mut self, at: usize, facts: &F) -> bool {
        if let Logic::Kind(answers, test) = &self.nodes[at].logic {
            return answers[facts.kind() as usize].unwrap_or_else(|| test.matches(facts));
        }
        if self.seen[at] >> 1 == self.event {
            return self.seen[at] & 1 == 1;
        }
        let result = self.compute(at, facts);
        self.seen[at] = self.event << 1 | u64::from(result);
        result
    }

    fn compute<F: Facts>(&mut self, at: usize, facts: &F) -> bool {
        let (count, wanted) = match &self.nodes[at].logic {
            Logic::Test(test) => return test.matches(facts),
            Logic::Kind(answers, test) => return answers[facts.kind() as usize].unwrap_or_else(|| test.matches(facts)),
            Logic::Not(child) => {
                let child = *child;
                return !self.holds(child, facts);
            }
            Logic::All(children) => (children.len(), false),
            Logic::Any(children) => (children.len(), true),
        };
        for position in 0..count {
            let (Logic::All(children) | Logic::Any(children)) = &self.nodes[at].logic else {
                unreachable!()
            };
            let child = children[position];
            if self.holds(child, facts) == wanted {
                return wanted;
            }
        }
        !wanted
    }
}

fn compile(row: &NodeRow, operands: &[Operand], scopes: &[Scope]) -> Result<(Logic, Scope), PlanError> {
    let joined = |children: &[usize]| {
        children
            .iter()
            .fold(Scope::Host, |scope, &child| narrower(scope, scopes[child]))
    };
    let indexes = |children: &[usize]| children.iter().map(|&child| child as u32).collect();
    Ok(match row {
        NodeRow::All(children) => (Logic::All(indexes(children)), joined(children)),
        NodeRow::Any(children) => (Logic::Any(indexes(children)), joined(children)),
        NodeRow::Not(child) => (Logic::Not(*child as u32), scopes[*child]),
        NodeRow::Test(row) => {
            let test = Test::compile(row, operands)?;
            let scope = test.right_operand().map_or(Scope::Host, Operand::scope);
            let scope = narrower(test.left.scope(), scope);
            match answers(&test) {
                Some(answers) => (Logic::Kind(Box::new(answers), Box::new(test)), Scope::Event),
                None => (Logic::Test(Box::new(test)), scope),
            }
        }
    })
}

/// What a test of `evt.type` or `syscall.type` says of each kind of event; none for other tests.
fn answers(test: &Test) -> Option<[Option<bool>; EVENT_COUNT]> {
    let field = match test.left {
        Operand::Field(field @ (Field::EvtType | Field::SyscallType), FieldArg::None) if test.is_constant() => field,
        _ => return None,
    };
    let mut answers = [None; EVENT_COUNT];
    for (answer, kind) in answers.iter_mut().zip(KINDS) {
        let info = kind.info();
        // The generic event has the name of its system call; asynchronous ones name themselves.
        let named = kind != EventKind::Syscall
            && (info.source == Source::Syscall || (info.source == Source::Tracepoint && field == Field::EvtType));
        *answer = named.then(|| test.matches_value(&Value::Text(info.name.as_bytes())));
    }
    Some(answers)
}

/// Order of evaluation within an and/or: what the kind or the process tells, then numbers, then texts, then searches. What
/// is kept with a descriptor counts as if it were not, as most events on it are its first.
fn cost(logic: &Logic, memo: Memo, costs: &[u32]) -> u32 {
    match (logic, memo) {
        (Logic::Kind(..), _) => 0,
        (_, Memo::Process(_)) => 1,
        (Logic::Test(test), _) => 2 + test.weight(),
        (Logic::Not(child), _) => costs[*child as usize],
        (Logic::All(children) | Logic::Any(children), _) => children
            .iter()
            .fold(2, |sum: u32, &child| sum.saturating_add(costs[child as usize])),
    }
}
