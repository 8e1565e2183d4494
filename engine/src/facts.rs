//! Enriched events: what the engine made of one raw batch, before it becomes Avro (`avro/enriched.rs`) and after.
//!
//! Each process version and each file is told once; events point at them by index.

use std::net::IpAddr;

/// A process as it was when events of this batch happened. A new version begins with whatever changes one of these facts:
/// exec, clone, setuid, chdir, a new parent, an exec of an ancestor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// xxh3 of (host id, boot id, pid, number of the event that began this version): the key in the store.
    pub id: u64,
    /// Time at which this version began, UTC ns.
    pub since: u64,
    pub pid: i64,
    pub ppid: i64,
    pub vpid: i64,
    pub sid: i64,
    pub pgid: i64,
    pub vpgid: i64,
    pub name: Vec<u8>,
    pub exe: Vec<u8>,
    pub exepath: Vec<u8>,
    pub args: Vec<Vec<u8>>,
    pub cwd: Vec<u8>,
    pub sname: Vec<u8>,
    pub tty: u32,
    pub uid: u32,
    pub user: Vec<u8>,
    pub gid: u32,
    pub group: Vec<u8>,
    pub loginuid: i64,
    pub login: Vec<u8>,
    pub container_id: Vec<u8>,
    pub cap_effective: u64,
    pub cap_permitted: u64,
    pub cap_inheritable: u64,
    /// PPM_EXE_* bits: writable, upper layer, lower layer, memfd.
    pub exe_flags: u32,
    pub exe_ino: u64,
    pub exe_ctime: u64,
    pub exe_mtime: u64,
    /// `proc.exe_ino.ctime_duration_proc_start`; 0 = none.
    pub exe_ctime_to_start: u64,
    pub started: u64,
    /// Parent first, then its parent, …; the process itself is not in it.
    pub ancestors: Vec<Ancestor>,
    /// `proc.is_guessed`.
    pub guessed: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ancestor {
    pub pid: i64,
    pub name: Vec<u8>,
    pub exe: Vec<u8>,
    pub exepath: Vec<u8>,
    pub cmdline: Vec<u8>,
    pub started: u64,
}

/// A descriptor as an event saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// `fd.typechar`.
    pub typechar: u8,
    /// `fd.name`.
    pub name: Vec<u8>,
    /// `fd.nameraw`.
    pub raw: Vec<u8>,
    /// `fd.l4proto`: empty where there is none.
    pub l4proto: Vec<u8>,
    pub client: Option<(IpAddr, u16)>,
    pub server: Option<(IpAddr, u16)>,
    pub local: Option<(IpAddr, u16)>,
    pub remote: Option<(IpAddr, u16)>,
    pub is_server: bool,
    pub connected: bool,
    pub dev: u32,
    pub ino: u64,
}

/// A container as its runtime told of it, in an event of its own. Empty text: not told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Short id, the same as `Process::container_id`.
    pub id: Vec<u8>,
    /// Time of the event, UTC ns.
    pub since: u64,
    pub full_id: Vec<u8>,
    /// `container.type`.
    pub engine: Vec<u8>,
    pub name: Vec<u8>,
    pub image: Vec<u8>,
    pub image_id: Vec<u8>,
    pub repository: Vec<u8>,
    pub tag: Vec<u8>,
    pub digest: Vec<u8>,
    pub user: Vec<u8>,
    pub ip: Vec<u8>,
    pub cni_json: Vec<u8>,
    pub sandbox_id: Vec<u8>,
    /// The pod's, from the container itself or its sandbox; filled in when the container is told on.
    pub in_pod: bool,
    pub pod_ip: Vec<u8>,
    pub pod_cni_json: Vec<u8>,
    pub privileged: bool,
    pub host_pid: bool,
    pub host_network: bool,
    pub host_ipc: bool,
    pub is_sandbox: bool,
    /// Seconds since 1970; 0: not told.
    pub created: i64,
    /// By key.
    pub labels: Vec<(Vec<u8>, Vec<u8>)>,
    pub sandbox_labels: Vec<(Vec<u8>, Vec<u8>)>,
    pub mounts: Vec<Mount>,
    pub ports: Vec<Port>,
}

impl Container {
    /// All that is one text, in the order of the schema.
    pub fn texts(&self) -> [&Vec<u8>; 15] {
        [
            &self.id,
            &self.full_id,
            &self.engine,
            &self.name,
            &self.image,
            &self.image_id,
            &self.repository,
            &self.tag,
            &self.digest,
            &self.user,
            &self.ip,
            &self.cni_json,
            &self.sandbox_id,
            &self.pod_ip,
            &self.pod_cni_json,
        ]
    }

    /// All that is yes or no, in the order of the schema.
    pub fn flags(&self) -> [bool; 6] {
        [
            self.in_pod,
            self.privileged,
            self.host_pid,
            self.host_network,
            self.host_ipc,
            self.is_sandbox,
        ]
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mount {
    pub source: Vec<u8>,
    pub destination: Vec<u8>,
    pub mode: Vec<u8>,
    pub writable: bool,
    pub propagation: Vec<u8>,
}

/// A port of the host that leads to one of the container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Port {
    pub host_ip: Vec<u8>,
    pub host_port: u16,
    pub port: u16,
}

/// What the engine adds to one raw event of kernel origin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFacts {
    /// Index of the raw event in its batch; its number is `first_seq + index`.
    pub index: u32,
    /// Index into `Enriched::processes`; none for events without a thread.
    pub process: Option<u32>,
    /// Index into `Enriched::files`, and the descriptor's number.
    pub file: Option<u32>,
    pub fd: Option<i64>,
    pub name_changed: bool,
    /// Parameters whose rendered text cannot be derived from the value alone: (parameter, text). Paths that were joined to
    /// a directory, descriptors other than the event's own, names of processes.
    pub resolved: Vec<(u16, Vec<u8>)>,
    /// Indexes into `Enriched::rules`: those that matched.
    pub rules: Vec<u32>,
}

/// All that the engine made of one raw batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enriched {
    pub processes: Vec<Process>,
    pub files: Vec<File>,
    pub events: Vec<EventFacts>,
    /// Names of the rules that matched in this batch.
    pub rules: Vec<String>,
    /// Containers that events of this batch told of.
    pub containers: Vec<Container>,
}

/// What a raw batch says about itself (schemas/raw_batch.avsc).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchHeader {
    pub host_id: String,
    pub host: String,
    pub boot_id: String,
    pub run: u64,
    pub first_seq: u64,
    /// UTC ns.
    pub time: u64,
    pub produced: u64,
    pub delivered: u64,
    pub lost: Vec<Loss>,
    /// Payloads that events lack; no event is lost by these. Last in a body.
    pub shed: Vec<Loss>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loss {
    pub stage: String,
    pub reason: String,
    pub count: u64,
}

/// Where on tiercel.raw a batch lies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Origin {
    pub partition: i32,
    pub offset: i64,
}

/// A rule that matched an event (schemas/alert.avsc).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alert {
    pub id: String,
    pub time: u64,
    pub rule: String,
    pub priority: String,
    pub source: String,
    pub hostname: String,
    pub host_id: String,
    pub boot_id: String,
    pub seq: u64,
    pub message: String,
    pub tags: Vec<String>,
    pub output_fields: Vec<(String, OutputValue)>,
    pub rules_version: String,
    pub rule_sha256: String,
    pub origin: Origin,
    /// Matches that had no alert of their own, and that this one counts.
    pub suppressed: u64,
    /// It tells of these alone, and is no alert of an event.
    pub summary: bool,
}

/// A value in an alert's output_fields, as it becomes JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputValue {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}
