//! Rows of the table `events`: one a kernel event, with the hot facts of its process and file beside it.

use std::{net::IpAddr, sync::Arc};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, UInt8Builder, UInt16Builder, UInt32Builder,
    UInt64Builder,
};
use arrow_schema::ArrowError;

use super::builders::{Addresses, Dictionary, Maps, Table, Times, repeat};
use crate::{
    avro::enriched::EventBatch,
    event::Event,
    facts::{EventFacts, File, Process},
    fields::fd,
    generated::{events::EventKind, syscalls::PPM_SC_NAMES},
    render,
    table::Category,
};

const O_RDONLY: u64 = 1;
const O_WRONLY: u64 = 2;
const O_CREAT: u64 = 4;
const O_TMPFILE: u64 = 8192;
const O_F_CREATED: u64 = 16384;

#[derive(Default)]
pub struct Events {
    host_id: Dictionary,
    host: Dictionary,
    boot_id: Dictionary,
    run: UInt64Builder,
    seq: UInt64Builder,
    ts: Times,
    kind: Dictionary,
    category: Dictionary,
    cpu: UInt16Builder,
    tid: Int64Builder,
    process: UInt64Builder,
    proc_name: Dictionary,
    proc_exepath: Dictionary,
    proc_cmdline: Dictionary,
    proc_pid: Int64Builder,
    proc_pname: Dictionary,
    proc_guessed: BooleanBuilder,
    user_uid: UInt32Builder,
    user_name: Dictionary,
    container_id: Dictionary,
    fd_num: Int64Builder,
    fd_typechar: Dictionary,
    fd_type: Dictionary,
    fd_name: Dictionary,
    fd_nameraw: Dictionary,
    fd_l4proto: Dictionary,
    /// Client, server, local, remote.
    ips: [Addresses; 4],
    ports: [UInt16Builder; 4],
    fd_is_server: BooleanBuilder,
    fd_connected: BooleanBuilder,
    fd_name_changed: BooleanBuilder,
    fd_dev: UInt32Builder,
    fd_ino: UInt64Builder,
    res: Int64Builder,
    open: UInt8Builder,
    args: Maps,
    rules: ListBuilder<BinaryBuilder>,
    raw_partition: Int32Builder,
    raw_offset: Int64Builder,
    row: UInt32Builder,
    /// Of each row of the event table.
    kind_keys: Vec<KindKeys>,
}

/// Keys of type and category, where these are always the same, and of the names of parameters, once it has come.
#[derive(Clone, Default)]
struct KindKeys {
    name: Option<i32>,
    category: Option<i32>,
    params: Vec<i32>,
}

/// What all events of a process have in common, as dictionary keys: made once a batch.
struct ProcessKeys {
    name: i32,
    exepath: i32,
    user: i32,
    container: i32,
    parent: Option<i32>,
    cmdline: i32,
}

/// The same of a file.
struct FileKeys {
    typechar: i32,
    kind: i32,
    name: i32,
    raw: i32,
    l4proto: i32,
}

impl Events {
    pub fn add(&mut self, batch: &EventBatch) {
        let (header, count) = (&batch.header, batch.batch.len());
        repeat(&mut self.host_id, header.host_id.as_bytes(), count);
        repeat(&mut self.host, header.host.as_bytes(), count);
        repeat(&mut self.boot_id, header.boot_id.as_bytes(), count);
        let keys: Vec<ProcessKeys> = batch
            .enriched
            .processes
            .iter()
            .map(|process| self.keys(process))
            .collect();
        let files: Vec<FileKeys> = batch.enriched.files.iter().map(|file| self.file_keys(file)).collect();
        for (row, (facts, event)) in batch.enriched.events.iter().zip(batch.batch.iter()).enumerate() {
            self.run.append_value(header.run);
            self.seq
                .append_value(header.first_seq.wrapping_add(u64::from(facts.index)));
            self.ts.push(event.ts());
            self.cpu.append_value(event.cpu());
            self.tid.append_value(event.tid());
            let file = facts.file.map(|file| &batch.enriched.files[file as usize]);
            self.add_kind(&event, file);
            let process = facts.process.map(|index| index as usize);
            self.add_process(process.map(|index| (&batch.enriched.processes[index], &keys[index])));
            self.add_file(&event, facts, file.zip(facts.file.map(|file| &files[file as usize])));
            self.res.append_option(event.result());
            self.open.append_value(open_bits(&event));
            self.add_args(&event, facts, file);
            for &rule in &facts.rules {
                self.rules.values().append_value(&batch.enriched.rules[rule as usize]);
            }
            self.rules.append(true);
            self.raw_partition.append_value(batch.origin.partition);
            self.raw_offset.append_value(batch.origin.offset);
            self.row.append_value(row as u32);
        }
    }

    fn keys(&mut self, process: &Process) -> ProcessKeys {
        let mut cmdline = process.name.clone();
        for arg in &process.args {
            cmdline.push(b' ');
            cmdline.extend_from_slice(arg);
        }
        ProcessKeys {
            name: self.proc_name.intern(&process.name),
            exepath: self.proc_exepath.intern(&process.exepath),
            user: self.user_name.intern(&process.user),
            container: self.container_id.intern(&process.container_id),
            parent: process
                .ancestors
                .first()
                .map(|parent| self.proc_pname.intern(&parent.name)),
            cmdline: self.proc_cmdline.intern(&cmdline),
        }
    }

    fn file_keys(&mut self, file: &File) -> FileKeys {
        let l4proto = if file.l4proto.is_empty() {
            b"<NA>"
        } else {
            &file.l4proto[..]
        };
        FileKeys {
            typechar: self.fd_typechar.intern(&[file.typechar]),
            kind: self.fd_type.intern(fd_type(file).as_bytes()),
            name: self.fd_name.intern(&file.name),
            raw: self.fd_nameraw.intern(&file.raw),
            l4proto: self.fd_l4proto.intern(l4proto),
        }
    }

    fn add_kind(&mut self, event: &Event, file: Option<&File>) {
        let row = event.kind() as usize;
        if self.kind_keys.len() <= row {
            self.kind_keys.resize(row + 1, KindKeys::default());
        }
        let known = &mut self.kind_keys[row];
        let kind = known
            .name
            .unwrap_or_else(|| self.kind.intern(type_name(event).as_bytes()));
        let category = known
            .category
            .unwrap_or_else(|| self.category.intern(category(event, file).as_bytes()));
        if event.kind() != EventKind::Syscall {
            known.name = Some(kind);
        }
        if !depends_on_file(event.kind().info().category) {
            known.category = Some(category);
        }
        if known.params.is_empty() {
            let params = event.kind().info().params.iter();
            known.params = params.map(|param| self.args.intern(param.name.as_bytes())).collect();
        }
        self.kind.push_key(kind);
        self.category.push_key(category);
    }

    fn add_process(&mut self, process: Option<(&Process, &ProcessKeys)>) {
        let Some((process, keys)) = process else {
            self.process.append_value(0);
            for column in [
                &mut self.proc_name,
                &mut self.proc_exepath,
                &mut self.user_name,
                &mut self.container_id,
                &mut self.proc_cmdline,
            ] {
                column.push(b"");
            }
            self.proc_pid.append_value(0);
            self.proc_pname.push_key_option(None);
            self.proc_guessed.append_value(false);
            self.user_uid.append_value(0);
            return;
        };
        self.process.append_value(process.id);
        self.proc_name.push_key(keys.name);
        self.proc_exepath.push_key(keys.exepath);
        self.user_name.push_key(keys.user);
        self.container_id.push_key(keys.container);
        self.proc_cmdline.push_key(keys.cmdline);
        self.proc_pid.append_value(process.pid);
        self.proc_pname.push_key_option(keys.parent);
        self.proc_guessed.append_value(process.guessed);
        self.user_uid.append_value(process.uid);
    }

    fn add_file(&mut self, event: &Event, facts: &EventFacts, file: Option<(&File, &FileKeys)>) {
        self.fd_num.append_option(facts.fd);
        let (file, keys) = file.unzip();
        let open = file.filter(|file| is_open(event, facts, file));
        let kind = keys.filter(|_| open.is_some());
        // These two answer wherever an event has a descriptor, be it unknown.
        let (typechar, name) = match keys {
            Some(keys) => (Some(keys.typechar), Some(keys.name)),
            None => facts
                .fd
                .map(|_| {
                    let letter = fd::letter(event.kind());
                    (self.fd_typechar.intern(&[letter]), self.fd_name.intern(b""))
                })
                .unzip(),
        };
        self.fd_typechar.push_key_option(typechar);
        self.fd_type.push_key_option(kind.map(|keys| keys.kind));
        self.fd_name.push_key_option(name);
        // A failed open has the path that it was given.
        let given = keys.filter(|_| open.is_some() || file.is_some_and(|file| !file.raw.is_empty()));
        self.fd_nameraw.push_key_option(given.map(|keys| keys.raw));
        self.fd_l4proto.push_key_option(kind.map(|keys| keys.l4proto));
        let ends: [Option<(IpAddr, u16)>; 4] =
            file.map_or([None; 4], |file| [file.client, file.server, file.local, file.remote]);
        for (end, (ips, ports)) in ends.into_iter().zip(self.ips.iter_mut().zip(&mut self.ports)) {
            ips.push(end.map(|(ip, _)| ip));
            ports.append_option(end.map(|(_, port)| port));
        }
        self.fd_is_server.append_option(open.map(|file| file.is_server));
        self.fd_connected.append_option(open.map(|file| file.connected));
        self.fd_name_changed.append_option(open.map(|_| facts.name_changed));
        self.fd_dev.append_option(open.map(|file| file.dev));
        self.fd_ino.append_option(open.map(|file| file.ino));
    }

    /// After `add_kind`.
    fn add_args(&mut self, event: &Event, facts: &EventFacts, file: Option<&File>) {
        let names = render::Recorded { facts, file };
        let keys = &self.kind_keys[event.kind() as usize].params;
        for (index, &key) in keys.iter().enumerate().take(event.param_count()) {
            self.args.entry(key, |out| render::arg(event, index, &names, out));
        }
        self.args.end_row();
    }

    pub fn len(&self) -> usize {
        self.kind.len()
    }

    pub fn finish(mut self, origin: &str) -> Result<Vec<u8>, ArrowError> {
        debug_assert_eq!(self.host_id.len(), self.kind.len());
        let count = self.len();
        let mut table = Table::default();
        table.add("host_id", self.host_id.finish_text()?);
        table.add("host", self.host.finish_text()?);
        table.add("boot_id", self.boot_id.finish_text()?);
        table.add("run", Arc::new(self.run.finish()));
        table.add("seq", Arc::new(self.seq.finish()));
        table.add("ts", self.ts.finish());
        table.add("type", self.kind.finish()?);
        table.add("category", self.category.finish()?);
        table.add("cpu", Arc::new(self.cpu.finish()));
        table.add("tid", Arc::new(self.tid.finish()));
        table.add("process", Arc::new(self.process.finish()));
        table.add("proc_name", self.proc_name.finish()?);
        table.add("proc_exepath", self.proc_exepath.finish()?);
        table.add("proc_cmdline", self.proc_cmdline.finish()?);
        table.add("proc_pid", Arc::new(self.proc_pid.finish()));
        table.add("proc_pname", self.proc_pname.finish()?);
        table.add("proc_guessed", Arc::new(self.proc_guessed.finish()));
        table.add("user_uid", Arc::new(self.user_uid.finish()));
        table.add("user_name", self.user_name.finish()?);
        table.add("container_id", self.container_id.finish()?);
        table.add("fd_num", Arc::new(self.fd_num.finish()));
        table.add("fd_typechar", self.fd_typechar.finish()?);
        table.add("fd_type", self.fd_type.finish()?);
        table.add("fd_name", self.fd_name.finish()?);
        table.add("fd_nameraw", self.fd_nameraw.finish()?);
        table.add("fd_l4proto", self.fd_l4proto.finish()?);
        for (side, (mut ips, mut ports)) in ["c", "s", "l", "r"]
            .into_iter()
            .zip(self.ips.into_iter().zip(self.ports))
        {
            table.add(&format!("fd_{side}ip"), Arc::new(ips.0.finish()));
            table.add(&format!("fd_{side}port"), Arc::new(ports.finish()));
        }
        table.add("fd_is_server", Arc::new(self.fd_is_server.finish()));
        table.add("fd_connected", Arc::new(self.fd_connected.finish()));
        table.add("fd_name_changed", Arc::new(self.fd_name_changed.finish()));
        table.add("fd_dev", Arc::new(self.fd_dev.finish()));
        table.add("fd_ino", Arc::new(self.fd_ino.finish()));
        table.add("res", Arc::new(self.res.finish()));
        table.add("open", Arc::new(self.open.finish()));
        table.add("args", self.args.finish()?);
        table.add("rules", Arc::new(self.rules.finish()));
        table.add("raw_partition", Arc::new(self.raw_partition.finish()));
        table.add("raw_offset", Arc::new(self.raw_offset.finish()));
        table.add("row", Arc::new(self.row.finish()));
        table.add_same("origin", origin, count)?;
        table.finish()
    }
}

/// Whether the file is a descriptor: what only the event names was never opened, as far as the engine knows.
fn is_open(event: &Event, facts: &EventFacts, file: &File) -> bool {
    let unknown_socket = event.kind() == EventKind::Connect && file.typechar == fd::letter(EventKind::Connect);
    facts.fd.is_none_or(|fd| fd >= 0) && !unknown_socket
}

/// `evt.type`: of a call without an event of its own, the name of the call.
fn type_name(event: &Event) -> &'static str {
    match event.kind() {
        EventKind::Syscall => event
            .uint(0)
            .and_then(|id| PPM_SC_NAMES.get(id as usize))
            .filter(|name| !name.is_empty())
            .copied()
            .unwrap_or("syscall"),
        kind => kind.info().name,
    }
}

fn depends_on_file(category: Category) -> bool {
    matches!(category, Category::IoRead | Category::IoWrite | Category::IoOther)
}

/// `evt.category`; of reads, writes and the like by what they are done to.
fn category(event: &Event, file: Option<&File>) -> &'static str {
    match event.kind().info().category {
        Category::Unknown => "unknown",
        Category::Other => "other",
        Category::File => "file",
        Category::Net => "net",
        Category::Ipc => "IPC",
        Category::Memory => "memory",
        Category::Process => "process",
        Category::Sleep => "sleep",
        Category::System => "system",
        Category::Signal => "signal",
        Category::User => "user",
        Category::Time => "time",
        Category::Processing => "processing",
        Category::Wait => "wait",
        Category::Scheduler => "scheduler",
        Category::Internal => "internal",
        Category::IoRead | Category::IoWrite | Category::IoOther => match file.map(|file| file.typechar) {
            Some(b'f' | b'd') => "file",
            Some(b'4' | b'6') => "net",
            Some(b'u' | b'p' | b'e' | b's' | b'i' | b't') => "ipc",
            _ => "unknown",
        },
    }
}

/// `fd.type` by `fd.typechar`.
fn fd_type(file: &File) -> &'static str {
    match file.typechar {
        b'f' => "file",
        b'd' => "directory",
        b'4' => "ipv4",
        b'6' => "ipv6",
        b'u' => "unix",
        b'p' => "pipe",
        b'e' => "event",
        b's' => "signalfd",
        b'l' => "eventpoll",
        b'i' => "inotify",
        b't' => "timerfd",
        b'n' => "netlink",
        b'b' => "bpf",
        b'r' => "io_uring",
        b'm' => "memfd",
        b'P' => "pidfd",
        _ => "<NA>",
    }
}

/// Bits of the column `open`: evt.is_open_read, is_open_write, is_open_exec, is_open_create.
fn open_bits(event: &Event) -> u8 {
    let param = |index: usize| event.uint(index).unwrap_or(0);
    let (flags, mode) = match event.kind() {
        EventKind::Open => (param(2), param(3)),
        EventKind::Openat | EventKind::Openat2 => (param(3), param(4)),
        EventKind::OpenByHandleAt => (param(2), 0),
        EventKind::Creat => return if param(2) & 0o111 != 0 { 4 } else { 0 },
        _ => return 0,
    };
    let made = flags & O_TMPFILE != 0 && event.result().is_some_and(|result| result >= 0);
    u8::from(flags & O_RDONLY != 0)
        | u8::from(flags & O_WRONLY != 0) << 1
        | u8::from(flags & (O_CREAT | O_TMPFILE) != 0 && mode & 0o111 != 0) << 2
        | u8::from(flags & O_F_CREATED != 0 || made) << 3
}
