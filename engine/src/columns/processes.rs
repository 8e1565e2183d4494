//! Rows of the table `processes`: each process version that a batch mentions.

use std::{collections::HashSet, sync::Arc};

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, Int64Builder, ListBuilder, UInt32Builder, UInt64Builder};
use arrow_schema::ArrowError;

use super::builders::{Dictionary, Table, Told};
use crate::avro::enriched::EventBatch;
use crate::facts::{Ancestor, Process};

const WORDS: [&str; 7] = ["name", "exepath", "sname", "user", "group", "login", "container_id"];
const TEXTS: [&str; 2] = ["exe", "cwd"];
const SIGNED: [&str; 7] = ["pid", "ppid", "vpid", "sid", "pgid", "vpgid", "loginuid"];
const SHORTS: [&str; 4] = ["tty", "uid", "gid", "exe_flags"];
const LONGS: [&str; 9] = [
    "id",
    "cap_effective",
    "cap_permitted",
    "cap_inheritable",
    "exe_ino",
    "exe_ctime",
    "exe_mtime",
    "exe_ctime_to_start",
    "started",
];
const ANCESTOR_TEXTS: [&str; 4] = [
    "ancestor_names",
    "ancestor_exes",
    "ancestor_exepaths",
    "ancestor_cmdlines",
];

#[derive(Default)]
pub struct Processes {
    /// Ids of those that have a row.
    seen: HashSet<u64>,
    told: Told,
    words: [Dictionary; 7],
    texts: [BinaryBuilder; 2],
    signed: [Int64Builder; 7],
    shorts: [UInt32Builder; 4],
    longs: [UInt64Builder; 9],
    args: ListBuilder<BinaryBuilder>,
    ancestor_pids: ListBuilder<Int64Builder>,
    ancestor_texts: [ListBuilder<BinaryBuilder>; 4],
    ancestor_started: ListBuilder<UInt64Builder>,
    guessed: BooleanBuilder,
}

impl Processes {
    pub fn add(&mut self, batch: &EventBatch) {
        for process in &batch.enriched.processes {
            if !self.seen.insert(process.id) {
                continue;
            }
            self.told.push(&batch.header, process.since);
            self.add_process(process);
        }
    }

    fn add_process(&mut self, p: &Process) {
        let words = [
            &p.name,
            &p.exepath,
            &p.sname,
            &p.user,
            &p.group,
            &p.login,
            &p.container_id,
        ];
        self.words
            .iter_mut()
            .zip(words)
            .for_each(|(column, word)| column.push(word));
        self.texts
            .iter_mut()
            .zip([&p.exe, &p.cwd])
            .for_each(|(column, text)| column.append_value(text));
        let signed = [p.pid, p.ppid, p.vpid, p.sid, p.pgid, p.vpgid, p.loginuid];
        self.signed
            .iter_mut()
            .zip(signed)
            .for_each(|(column, number)| column.append_value(number));
        let shorts = [p.tty, p.uid, p.gid, p.exe_flags];
        self.shorts
            .iter_mut()
            .zip(shorts)
            .for_each(|(column, number)| column.append_value(number));
        let sets = [p.id, p.cap_effective, p.cap_permitted, p.cap_inheritable];
        let times = [p.exe_ino, p.exe_ctime, p.exe_mtime, p.exe_ctime_to_start, p.started];
        let longs = sets.into_iter().chain(times);
        self.longs
            .iter_mut()
            .zip(longs)
            .for_each(|(column, number)| column.append_value(number));
        p.args.iter().for_each(|arg| self.args.values().append_value(arg));
        self.args.append(true);
        p.ancestors.iter().for_each(|ancestor| self.add_ancestor(ancestor));
        self.ancestor_pids.append(true);
        self.ancestor_texts.iter_mut().for_each(|list| list.append(true));
        self.ancestor_started.append(true);
        self.guessed.append_value(p.guessed);
    }

    fn add_ancestor(&mut self, a: &Ancestor) {
        self.ancestor_pids.values().append_value(a.pid);
        let texts = [&a.name, &a.exe, &a.exepath, &a.cmdline];
        self.ancestor_texts
            .iter_mut()
            .zip(texts)
            .for_each(|(list, text)| list.values().append_value(text));
        self.ancestor_started.values().append_value(a.started);
    }

    pub fn finish(mut self) -> Result<Vec<u8>, ArrowError> {
        let mut table = Table::default();
        self.told.finish(&mut table)?;
        for (name, column) in WORDS.into_iter().zip(self.words) {
            table.add(name, column.finish()?);
        }
        for (name, mut column) in TEXTS.into_iter().zip(self.texts) {
            table.add(name, Arc::new(column.finish()));
        }
        for (name, mut column) in SIGNED.into_iter().zip(self.signed) {
            table.add(name, Arc::new(column.finish()));
        }
        for (name, mut column) in SHORTS.into_iter().zip(self.shorts) {
            table.add(name, Arc::new(column.finish()));
        }
        for (name, mut column) in LONGS.into_iter().zip(self.longs) {
            table.add(name, Arc::new(column.finish()));
        }
        table.add("args", Arc::new(self.args.finish()));
        table.add("ancestor_pids", Arc::new(self.ancestor_pids.finish()));
        for (name, mut column) in ANCESTOR_TEXTS.into_iter().zip(self.ancestor_texts) {
            table.add(name, Arc::new(column.finish()));
        }
        table.add("ancestor_started", Arc::new(self.ancestor_started.finish()));
        table.add("guessed", Arc::new(self.guessed.finish()));
        table.finish()
    }
}
