//! Builds the enriched form of one batch: each version of a process and each file is told once, events point at them.

use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::event::Event;
use crate::facts::{Ancestor, BatchHeader, Container, Enriched, EventFacts, File, Process};
use crate::fields::{EventView, fd, proc, user};
use crate::generated::events::KINDS;
use crate::render::{self, Names, Question};
use crate::state::hash::IntMap;
use crate::state::limits::facts_size;
use crate::state::saved::{self, Reader, Saved, Writer};
use crate::state::text::items;
use crate::state::threads::Slot;
use crate::state::{Seen, State, containers};
use crate::table::ParamType;

/// For each kind of event its parameters that may need the state to be shown as text.
static ASKING: LazyLock<Vec<Vec<u16>>> = LazyLock::new(|| {
    use ParamType as P;
    let asks = |kind| {
        matches!(
            kind,
            P::Fd | P::Fd32 | P::Pid | P::Pid32 | P::Fspath | P::Fsrelpath | P::Uid | P::Gid | P::Fdlist
        )
    };
    let of = |params: &[crate::table::ParamInfo]| {
        params
            .iter()
            .enumerate()
            .filter(|(_, p)| asks(p.kind))
            .map(|(i, _)| i as u16)
            .collect()
    };
    KINDS.iter().map(|kind| of(kind.info().params)).collect()
});

#[derive(Debug, Default)]
pub struct Builder {
    enriched: Enriched,
    /// Seed of the keys of processes: host and boot.
    seed: u64,
    /// Number of this batch, to know what was told in it.
    serial: u64,
    /// Files told, by version of the descriptor and by content.
    by_version: IntMap<u64, u32>,
    by_content: IntMap<u64, u32>,
    ids: IntMap<u64, u32>,
}

/// Between two batches nothing but their count is worth keeping.
impl Saved for Builder {
    fn save(&self, out: &mut Writer) {
        let Builder {
            enriched: _,
            seed: _,
            serial,
            by_version: _,
            by_content: _,
            ids: _,
        } = self;
        serial.save(out);
    }

    fn load(input: &mut Reader) -> Result<Builder, saved::Error> {
        Ok(Builder {
            serial: input.count()?,
            ..Builder::default()
        })
    }
}

impl Builder {
    /// False if something was told in a batch that is yet to come.
    pub fn has_told(&self, state: &State) -> bool {
        state.threads.iter().all(|thread| thread.told_in <= self.serial)
    }

    pub fn begin(&mut self, header: &BatchHeader, events: usize) {
        let mut hash = Xxh3::new();
        for part in [&header.host_id, &header.boot_id] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        self.seed = hash.digest();
        self.serial += 1;
        self.enriched = Enriched {
            events: Vec::with_capacity(events),
            ..Enriched::default()
        };
        self.by_version.clear();
        self.by_content.clear();
        self.ids.clear();
    }

    pub fn finish(&mut self) -> Enriched {
        std::mem::take(&mut self.enriched)
    }

    pub fn add(&mut self, state: &mut State, event: &Event, seen: &Seen, index: u32) {
        let process = seen.thread.map(|slot| self.process(state, slot));
        let (file, resolved) = {
            let view = EventView {
                event: *event,
                number: 0,
                state,
                seen,
                hostname: "",
                first_ts: 0,
            };
            (self.file(&view), resolved(&view))
        };
        self.enriched.events.push(EventFacts {
            index,
            process,
            file,
            fd: seen.fd.filter(|_| seen.thread.is_some()),
            name_changed: seen.name_changed,
            resolved,
            rules: Vec::new(),
        });
    }

    /// A container that an event told of.
    pub fn told(&mut self, container: Option<Container>) {
        self.enriched.containers.extend(container);
    }

    /// Rules that matched the event added last.
    pub fn matched<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            let known = self.enriched.rules.iter().position(|rule| rule == name);
            let index = known.unwrap_or_else(|| {
                self.enriched.rules.push(name.to_owned());
                self.enriched.rules.len() - 1
            });
            if let Some(event) = self.enriched.events.last_mut() {
                event.rules.push(index as u32);
            }
        }
    }

    /// Place of a thread's process in the batch.
    fn process(&mut self, state: &mut State, slot: Slot) -> u32 {
        let thread = &state.threads[slot];
        if thread.told_in == self.serial && thread.facts_version == thread.version {
            return thread.told_at;
        }
        let facts = self.facts(state, slot);
        let place = *self.ids.entry(facts.id).or_insert_with(|| {
            self.enriched.processes.push(Process::clone(&facts));
            (self.enriched.processes.len() - 1) as u32
        });
        let thread = &mut state.threads[slot];
        (thread.told_in, thread.told_at) = (self.serial, place);
        place
    }

    /// Facts of a thread's process, made anew if its version is another.
    fn facts(&self, state: &mut State, slot: Slot) -> Arc<Process> {
        let thread = &state.threads[slot];
        if let Some(facts) = &thread.facts
            && thread.facts_version == thread.version
        {
            return facts.clone();
        }
        let mut made = facts_of(state, slot);
        let same = |known: &Arc<Process>| {
            Process {
                id: known.id,
                since: known.since,
                ..made.clone()
            } == **known
        };
        let before = state.threads[slot].facts.clone().filter(same);
        // A thread that is as its main thread is no process of its own.
        let main = state.threads.main(slot).filter(|main| *main != slot);
        let shared = before.or_else(|| {
            let main = main?;
            state.threads.refresh(main);
            Some(self.facts(state, main)).filter(same)
        });
        let facts = shared.unwrap_or_else(|| {
            let thread = &state.threads[slot];
            let mut key = [0; 16];
            key[..8].copy_from_slice(&(if main.is_some() { thread.tid } else { thread.pid }).to_le_bytes());
            key[8..].copy_from_slice(&thread.since.0.to_le_bytes());
            (made.id, made.since) = (xxh3_64_with_seed(&key, self.seed), thread.since.1);
            state.grew(facts_size(&made));
            Arc::new(made)
        });
        let thread = &mut state.threads[slot];
        thread.facts = Some(facts.clone());
        thread.facts_version = thread.version;
        facts
    }

    /// Place in the batch of what the event's descriptor is, or would have been.
    fn file(&mut self, view: &EventView) -> Option<u32> {
        if view.seen.thread.is_none() || view.seen.fd.is_none() {
            return None;
        }
        let version = view.file().map(|_| view.seen.fd_version);
        if let Some(place) = version.and_then(|version| self.by_version.get(&version)) {
            return Some(*place);
        }
        let file = file_of(view)?;
        let mut hash = Xxh3::new();
        hash.update(&file.name);
        hash.update(&[file.typechar, u8::from(file.connected)]);
        hash.update(&file.ino.to_le_bytes());
        hash.update(&file.raw);
        let files = &mut self.enriched.files;
        let place = match self.by_content.get(&hash.digest()) {
            Some(place) if files[*place as usize] == file => *place,
            _ => {
                files.push(file);
                let place = (files.len() - 1) as u32;
                self.by_content.insert(hash.digest(), place);
                place
            }
        };
        if let Some(version) = version {
            self.by_version.insert(version, place);
        }
        Some(place)
    }
}

fn facts_of(state: &State, slot: Slot) -> Process {
    let threads = &state.threads;
    let thread = &threads[slot];
    let main = threads.main(slot).map_or(thread, |main| &threads[main]);
    let ancestors: Vec<Ancestor> = threads
        .ancestors(slot)
        .map(|slot| {
            let thread = &threads[slot];
            Ancestor {
                pid: thread.pid,
                name: thread.comm.to_vec(),
                exe: thread.exe.to_vec(),
                exepath: thread.exepath.to_vec(),
                cmdline: proc::cmdline(thread),
                started: thread.clone_ts,
            }
        })
        .collect();
    Process {
        id: 0,
        since: 0,
        pid: thread.pid,
        ppid: ancestors.first().map_or(-1, |parent| parent.pid),
        vpid: thread.vpid,
        sid: thread.sid,
        pgid: thread.pgid,
        vpgid: thread.vpgid,
        name: thread.comm.to_vec(),
        exe: thread.exe.to_vec(),
        exepath: thread.exepath.to_vec(),
        args: items(&thread.args).map(<[u8]>::to_vec).collect(),
        cwd: state.cwd(slot).to_vec(),
        sname: proc::leader(state, slot, proc::Leads::Session)
            .map(|leader| threads[leader].comm.to_vec())
            .unwrap_or_default(),
        tty: thread.tty,
        uid: thread.uid,
        user: user::name_of(&state.users, &thread.container, thread.uid).to_vec(),
        gid: thread.gid,
        group: user::group_of(&state.users, &thread.container, thread.gid).to_vec(),
        loginuid: i64::from(thread.loginuid as i32),
        login: user::name_of(&state.users, &thread.container, thread.loginuid).to_vec(),
        container_id: if thread.container.is_empty() {
            containers::HOST
        } else {
            &thread.container
        }
        .to_vec(),
        cap_effective: thread.cap_effective,
        cap_permitted: thread.cap_permitted,
        cap_inheritable: thread.cap_inheritable,
        exe_flags: thread.exe_flags,
        exe_ino: thread.exe_ino,
        exe_ctime: thread.exe_ctime,
        exe_mtime: thread.exe_mtime,
        exe_ctime_to_start: thread.ctime_to_clone,
        started: main.clone_ts,
        ancestors,
        guessed: thread.guessed_until != 0,
    }
}

/// The descriptor as the event saw it; of one that was never opened, the name that the event gives.
fn file_of(view: &EventView) -> Option<File> {
    let Some(fd) = view.file() else {
        let name = fd::unknown_name(view);
        let typechar = fd::letter(view.event.kind());
        return (!name.is_empty()).then(|| File {
            typechar,
            name,
            raw: fd::unknown_raw(view).unwrap_or_default(),
            ..File::default()
        });
    };
    let end = |side| fd::pair(view, fd, side);
    Some(File {
        typechar: fd.kind.names().1,
        name: fd.name.to_vec(),
        raw: fd::raw(&fd.raw),
        l4proto: fd.l4proto().unwrap_or_default().as_bytes().to_vec(),
        client: end(fd::Side::Client),
        server: end(fd::Side::Server),
        local: end(fd::Side::Local),
        remote: end(fd::Side::Remote),
        is_server: fd::is_server(view, fd),
        connected: fd.connected,
        dev: fd.dev,
        ino: fd.ino,
    })
}

/// Texts that the parameters alone do not give.
fn resolved(view: &EventView) -> Vec<(u16, Vec<u8>)> {
    let mut resolved = Vec::new();
    let kind = view.event.kind();
    for index in &ASKING[kind as usize] {
        let param = usize::from(*index);
        let Some(question) = render::question(&view.event, param, &kind.info().params[param]) else {
            continue;
        };
        if matches!(question, Question::Fd(fd) if view.seen.file.is_some() && view.seen.fd == Some(fd)) {
            continue;
        }
        let mut text = Vec::new();
        if view.resolve(param, question, &mut text) {
            resolved.push((*index, text));
        }
    }
    resolved
}
