//! Rules on events: a plan made by tiercel.rules.plan in, the rules that match each event out.
//!
//! `Facts` says what is true of an event; the caller (host.rs) turns matches into alerts with `alert`.

mod cache;
mod fold;
pub(crate) mod glob;
mod graph;
pub mod literal;
mod lookup;
pub mod operand;
mod paths;
pub mod pattern;
pub mod plan;
pub mod profile;
mod program;
mod programs;
mod step;
pub mod test;
mod text;
mod words;

#[cfg(test)]
mod oracle;

use sha2::{Digest, Sha256};

use crate::{
    facts::{Alert, BatchHeader, Origin, OutputValue},
    format::{Format, FormatError},
    generated::{
        events::{EVENT_COUNT, EventKind},
        fields::Field,
    },
    throttle::{Limit, Told},
    value::{Facts, FieldArg, Value, Version},
};
use graph::Graph;
use plan::{ExtraRow, Matching, Plan, PlanError, RuleRow, invalid};
use profile::{Meter, Profile, Unmetered};
use programs::Programs;

/// A rule as alerts tell of it.
#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub source: String,
    pub priority: String,
    /// Sorted.
    pub tags: Vec<String>,
    /// Of the compiled rule: the same condition and output give the same.
    pub sha256: String,
    pub output: Format,
    pub throttle: Option<Limit>,
    /// What output_fields hold beyond the fields of the output: a field's value without, a text with a name.
    extra: Vec<(Option<String>, Format)>,
    node: u32,
}

#[derive(Debug)]
pub struct RuleSet {
    version: String,
    matching: Matching,
    rules: Vec<Rule>,
    graph: Graph,
    programs: Programs,
    profile: Option<Box<Profile>>,
    /// Every event is judged as if its process and its descriptor had never been seen.
    forgetful: bool,
}

/// The same event of a process and a descriptor that have no versions: nothing can be kept with them.
struct Fresh<'a, F>(&'a F);

impl<F: Facts> Facts for Fresh<'_, F> {
    fn kind(&self) -> EventKind {
        self.0.kind()
    }

    fn field(&self, field: Field, arg: &FieldArg) -> Value<'_> {
        self.0.field(field, arg)
    }

    fn process_version(&self) -> Option<Version> {
        None
    }

    fn fd_version(&self) -> Option<Version> {
        None
    }
}

impl RuleSet {
    pub fn new(plan: &str) -> Result<RuleSet, PlanError> {
        let plan = Plan::parse(plan)?;
        let mut graph = Graph::compile(&plan)?;
        let mut by_kind = vec![Vec::new(); EVENT_COUNT];
        let mut rules = Vec::with_capacity(plan.rules.len());
        for (index, row) in plan.rules.iter().enumerate() {
            for &code in &row.codes {
                match EventKind::from_code(code) {
                    Some(kind) if by_kind[kind as usize].last() != Some(&(index as u32)) => {
                        by_kind[kind as usize].push(index as u32)
                    }
                    Some(_) => {}
                    None => return invalid(format!("there is no event with code {code}")),
                }
            }
            rules.push(Rule::compile(row, plan.base64)?);
        }
        Ok(RuleSet {
            version: plan.version,
            matching: plan.matching,
            programs: Programs::compile(&mut graph, &by_kind, &rules),
            rules,
            graph,
            profile: None,
            forgetful: false,
        })
    }

    /// sha256 of all rules.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether any rule may match an event of this kind.
    pub fn concerns(&self, kind: EventKind) -> bool {
        self.programs.of(kind).is_some()
    }

    /// Append to `matched` the rules that match the event of `facts`: the first one, or all.
    pub fn evaluate<F: Facts>(&mut self, facts: &F, matched: &mut Vec<u32>) {
        let first = self.matching == Matching::First;
        let Self {
            graph,
            programs,
            profile,
            ..
        } = self;
        match profile {
            _ if programs.of(facts.kind()).is_none() => {}
            None if self.forgetful => programs.run(graph, &Fresh(facts), first, matched, &mut Unmetered),
            None => programs.run(graph, facts, first, matched, &mut Unmetered),
            Some(profile) => {
                let (begun, before) = (profile.now(), matched.len());
                programs.run(graph, facts, first, matched, profile.as_mut());
                profile.event(matched.len() > before, begun);
            }
        }
    }

    /// Keep nothing from one event to the next: slow, and the same alerts. For tests that compare.
    pub fn forget(&mut self) {
        self.forgetful = true;
    }

    /// Count and time everything from now on, which takes time itself.
    pub fn measure(&mut self) {
        self.profile = Some(Box::new(Profile::new(self.graph.len(), self.rules.len())));
    }

    /// What was counted since `measure`.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_deref()
    }

    /// The output of a rule on an event, and the fields in it by name.
    pub fn alert_text<F: Facts>(&self, rule: u32, facts: &F) -> (String, Vec<(String, OutputValue)>) {
        let rule = &self.rules[rule as usize];
        let mut fields = rule.output.fields(facts);
        for (key, format) in &rule.extra {
            let found = match key {
                Some(key) => vec![(key.clone(), OutputValue::Text(format.message(facts)))],
                None => format.fields(facts),
            };
            for (name, value) in found {
                if fields.iter().all(|(known, _)| *known != name) {
                    fields.push((name, value));
                }
            }
        }
        (rule.output.message(facts), fields)
    }

    /// What a summary of a throttled rule says of it.
    pub fn told(&self, rule: u32) -> Told {
        let rule = &self.rules[rule as usize];
        let limit = rule.throttle.as_ref();
        Told {
            name: rule.name.clone(),
            source: rule.source.clone(),
            priority: rule.priority.clone(),
            tags: rule.tags.clone(),
            sha256: rule.sha256.clone(),
            per: limit.map_or_else(Vec::new, |limit| {
                limit.per.iter().map(|(name, _)| name.clone()).collect()
            }),
            burst: limit.map_or(0, |limit| limit.burst),
            every: limit.map_or(0, |limit| limit.every),
        }
    }

    /// The whole alert of a rule on event `seq`.
    pub fn alert<F: Facts>(
        &self,
        rule: u32,
        facts: &F,
        header: &BatchHeader,
        seq: u64,
        time: u64,
        origin: Origin,
    ) -> Alert {
        let (message, fields) = self.alert_text(rule, facts);
        let rule = &self.rules[rule as usize];
        let mut output_fields = vec![("evt.time".to_owned(), OutputValue::Int(time as i64))];
        output_fields.extend(fields.into_iter().filter(|(name, _)| name != "evt.time"));
        Alert {
            id: alert_id(&rule.name, &rule.sha256, &header.host_id, &header.boot_id, seq),
            time,
            rule: rule.name.clone(),
            priority: rule.priority.clone(),
            source: rule.source.clone(),
            hostname: header.host.clone(),
            host_id: header.host_id.clone(),
            boot_id: header.boot_id.clone(),
            seq,
            message,
            tags: rule.tags.clone(),
            output_fields,
            rules_version: self.version.clone(),
            rule_sha256: rule.sha256.clone(),
            origin,
            suppressed: 0,
            summary: false,
        }
    }
}

impl Rule {
    fn compile(row: &RuleRow, base64: bool) -> Result<Rule, PlanError> {
        let mut tags = row.tags.clone();
        tags.sort();
        let wrong = |error| PlanError::Invalid(format!("output of {:?}: {error}", row.name));
        let extra = row.extra.iter().map(|extra| match extra {
            ExtraRow::Field(name) => Ok((None, Format::one(name, base64)?)),
            ExtraRow::Text { key, format } => Ok((Some(key.clone()), Format::rule(format, base64)?)),
        });
        Ok(Rule {
            name: row.name.clone(),
            source: row.source.clone(),
            priority: row.priority.clone(),
            tags,
            sha256: row.sha256.clone(),
            output: Format::rule(&row.output, base64).map_err(wrong)?,
            throttle: row.throttle.as_ref().map(Limit::compile).transpose()?,
            extra: extra.collect::<Result<_, FormatError>>().map_err(wrong)?,
            node: row.node as u32,
        })
    }
}

/// The same alert again has the same id: 32 hex digits of sha256 over the length-prefixed parts.
pub fn alert_id(rule: &str, rule_sha256: &str, host_id: &str, boot_id: &str, seq: u64) -> String {
    let mut hash = Sha256::new();
    for part in [rule, rule_sha256, host_id, boot_id] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(seq.to_le_bytes());
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
