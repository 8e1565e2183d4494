//! The graph of predicates: each node is evaluated at most once per event, and what is true of a process or a descriptor is
//! kept across events.

use super::{
    cache::Cache,
    operand::{Operand, narrower},
    plan::{NodeRow, Plan, PlanError},
    profile::Meter,
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

/// Tests that are made again sooner than their result is looked for.
const CHEAP: u32 = 3;

#[derive(Debug)]
pub enum Logic {
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
    cost: u32,
    /// Of a test: where the text that its operand made is kept for the next test of the same.
    text: u32,
}

/// Texts that operands made of this event, by number of the operand.
#[derive(Debug, Default)]
struct Texts {
    made: Vec<(u64, Vec<u8>)>,
}

impl Texts {
    /// Let `test` judge, with the text made before or the one that it makes now.
    fn judge<F: Facts>(&mut self, at: u32, event: u64, test: &Test, facts: &F) -> bool {
        let Some((made, text)) = self.made.get_mut(at as usize) else {
            return test.matches(facts);
        };
        if *made == event {
            return test.judge(&Value::Text(text), facts);
        }
        match test.left.value(facts) {
            Value::Owned(fresh) => {
                (*made, *text) = (event, fresh);
                test.judge(&Value::Text(text), facts)
            }
            value => test.judge(&value, facts),
        }
    }
}

#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Per node: event number << 1 | result.
    seen: Vec<u64>,
    event: u64,
    processes: Cache,
    fds: Cache,
    texts: Texts,
    process: Row,
    fd: Row,
    /// Nodes kept with a process; slots and words beyond are for masks.
    process_nodes: u32,
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
        let (mut scopes, mut processes, mut fds) = (Vec::new(), 0, 0);
        for row in &plan.nodes {
            let (mut logic, scope) = compile(row, &operands, &scopes)?;
            let next = |count: &mut u32| {
                *count += 1;
                *count - 1
            };
            let memo = match scope {
                Scope::Process | Scope::User | Scope::Container => Memo::Process(next(&mut processes)),
                Scope::Fd => Memo::Fd(next(&mut fds)),
                Scope::Event | Scope::Host => Memo::Event,
            };
            if let Logic::All(children) | Logic::Any(children) = &mut logic {
                // Operands have no effects, so what is cheap goes first; among equals the author's order stays.
                children.sort_by_key(|&child| nodes[child as usize].cost);
            }
            let cost = cost(&logic, memo, &nodes);
            let text = match row {
                NodeRow::Test(row) => row.left as u32,
                _ => 0,
            };
            nodes.push(Node {
                logic,
                memo,
                cost,
                text,
            });
            scopes.push(scope);
        }
        Ok(Graph {
            seen: vec![0; nodes.len()],
            nodes,
            event: 0,
            processes: Cache::new(processes as usize, 0),
            fds: Cache::new(fds as usize, 0),
            texts: Texts {
                made: vec![(0, Vec::new()); operands.len()],
            },
            process: Row::Unasked,
            fd: Row::Unasked,
            process_nodes: processes,
        })
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn logic(&self, node: u32) -> &Logic {
        &self.nodes[node as usize].logic
    }

    pub fn cost(&self, node: u32) -> u32 {
        self.nodes[node as usize].cost
    }

    /// Whether the process alone decides.
    pub fn is_of_process(&self, node: u32) -> bool {
        matches!(self.nodes[node as usize].memo, Memo::Process(_))
    }

    /// Make room for `count` masks of together `words` words beside what is kept with a process.
    pub fn reserve_masks(&mut self, count: usize, words: usize) {
        self.processes = Cache::new(self.process_nodes as usize + count, words);
    }

    /// Go on to the next event: forget what was true of the last one only.
    pub fn begin(&mut self, kind: EventKind) {
        self.event += 1;
        self.process = Row::Unasked;
        // Nothing was kept with a descriptor that this event made.
        self.fd = if makes_descriptor(kind) {
            Row::None
        } else {
            Row::Unasked
        };
    }

    /// Mask number `number`, `count` words from `at` on, as it was kept with the process of this event.
    pub fn mask<F: Facts>(&mut self, facts: &F, number: u32, at: usize, count: usize) -> Option<&[u64]> {
        let row = self.process_row(facts)?;
        self.processes.get(row, self.process_nodes + number)?;
        Some(self.processes.words(row, at, count))
    }

    /// Keep a mask with the process of this event, if there is one.
    pub fn keep_mask<F: Facts>(&mut self, facts: &F, number: u32, at: usize, mask: &[u64]) {
        if let Some(row) = self.process_row(facts) {
            self.processes.set(row, self.process_nodes + number, true);
            self.processes.set_words(row, at, mask);
        }
    }

    fn process_row<F: Facts>(&mut self, facts: &F) -> Option<usize> {
        if let Row::Unasked = self.process {
            self.process = facts
                .process_version()
                .map_or(Row::None, |version| Row::At(self.processes.row(version)));
        }
        match self.process {
            Row::At(row) => Some(row),
            Row::Unasked | Row::None => None,
        }
    }

    fn fd_row<F: Facts>(&mut self, facts: &F) -> Option<usize> {
        if let Row::Unasked = self.fd {
            self.fd = facts
                .fd_version()
                .map_or(Row::None, |version| Row::At(self.fds.row(version)));
        }
        match self.fd {
            Row::At(row) => Some(row),
            Row::Unasked | Row::None => None,
        }
    }

    /// Whether node `index` holds on the event of `facts`, the same for all calls since `begin`.
    pub fn holds<F: Facts, M: Meter>(&mut self, index: u32, facts: &F, meter: &mut M) -> bool {
        let at = index as usize;
        let node = &self.nodes[at];
        if let Logic::Test(test) = &node.logic
            && node.cost <= CHEAP
            && (matches!(node.memo, Memo::Event) || matches!((node.memo, self.fd), (Memo::Fd(_), Row::None)))
        {
            let begun = meter.now();
            let result = test.matches(facts);
            meter.tested(at, result, begun);
            return result;
        }
        match node.memo {
            Memo::Event => self.of_event(at, facts, meter),
            Memo::Process(slot) => {
                let Some(row) = self.process_row(facts) else {
                    return self.of_event(at, facts, meter);
                };
                self.processes.get(row, slot).unwrap_or_else(|| {
                    let result = self.compute(at, facts, meter);
                    self.processes.set(row, slot, result);
                    result
                })
            }
            Memo::Fd(slot) => {
                let Some(row) = self.fd_row(facts) else {
                    return self.of_event(at, facts, meter);
                };
                self.fds.get(row, slot).unwrap_or_else(|| {
                    let result = self.compute(at, facts, meter);
                    self.fds.set(row, slot, result);
                    result
                })
            }
        }
    }

    fn of_event<F: Facts, M: Meter>(&mut self, at: usize, facts: &F, meter: &mut M) -> bool {
        if let Logic::Kind(answers, test) = &self.nodes[at].logic {
            return answers[facts.kind() as usize].unwrap_or_else(|| test.matches(facts));
        }
        if self.seen[at] >> 1 == self.event {
            return self.seen[at] & 1 == 1;
        }
        let result = self.compute(at, facts, meter);
        self.seen[at] = self.event << 1 | u64::from(result);
        result
    }

    fn compute<F: Facts, M: Meter>(&mut self, at: usize, facts: &F, meter: &mut M) -> bool {
        let (count, wanted) = match &self.nodes[at].logic {
            Logic::Test(test) => {
                let begun = meter.now();
                let result = self.texts.judge(self.nodes[at].text, self.event, test, facts);
                meter.tested(at, result, begun);
                return result;
            }
            Logic::Kind(answers, test) => return answers[facts.kind() as usize].unwrap_or_else(|| test.matches(facts)),
            Logic::Not(child) => {
                let child = *child;
                return !self.holds(child, facts, meter);
            }
            Logic::All(children) => (children.len(), false),
            Logic::Any(children) => (children.len(), true),
        };
        for position in 0..count {
            let (Logic::All(children) | Logic::Any(children)) = &self.nodes[at].logic else {
                unreachable!()
            };
            let child = children[position];
            if self.holds(child, facts, meter) == wanted {
                return wanted;
            }
        }
        !wanted
    }
}

fn makes_descriptor(kind: EventKind) -> bool {
    use EventKind as K;
    matches!(
        kind,
        K::Open | K::Openat | K::Openat2 | K::Creat | K::Socket | K::Accept | K::Accept4
    )
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
fn cost(logic: &Logic, memo: Memo, nodes: &[Node]) -> u32 {
    match (logic, memo) {
        (Logic::Kind(..), _) => 0,
        (_, Memo::Process(_)) => 1,
        (Logic::Test(test), _) => 2 + test.weight(),
        (Logic::Not(child), _) => nodes[*child as usize].cost,
        (Logic::All(children) | Logic::Any(children), _) => children
            .iter()
            .fold(2, |sum: u32, &child| sum.saturating_add(nodes[child as usize].cost)),
    }
}
