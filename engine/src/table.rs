//! The types of the tables that schemas/generate.py renders into `generated/`, and look-ups over them.

use crate::generated::{
    events::{EVENTS, EventKind, KINDS, ROW_BY_CODE},
    fields::{ALL_FIELDS, FIELDS, Field},
};

/// Encoding of a parameter in a record, and type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamType {
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Charbuf,
    Bytebuf,
    Errno,
    Sockaddr,
    Socktuple,
    Fd,
    Pid,
    Fdlist,
    Fspath,
    Syscallid,
    Sigtype,
    Reltime,
    Abstime,
    Port,
    L4proto,
    Sockfamily,
    Bool,
    Ipv4addr,
    Dyn,
    Flags8,
    Flags16,
    Flags32,
    Uid,
    Gid,
    Double,
    Sigset,
    Charbufarray,
    CharbufPairArray,
    Ipv4net,
    Ipv6addr,
    Ipv6net,
    Ipaddr,
    Ipnet,
    Mode,
    Fsrelpath,
    Enumflags8,
    Enumflags16,
    Enumflags32,
    Fd32,
    Pid32,
}

/// How the bytes of a parameter are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Little-endian, `width` bytes.
    Int {
        width: usize,
        signed: bool,
    },
    /// Bytes and a terminating NUL.
    Text,
    Bytes,
    Sockaddr,
    Socktuple,
    Fdlist,
    Dyn,
}

impl ParamType {
    pub const fn coding(self) -> Coding {
        use ParamType::*;
        const fn int(width: usize, signed: bool) -> Coding {
            Coding::Int { width, signed }
        }
        match self {
            Int8 => int(1, true),
            Int16 => int(2, true),
            Int32 | Fd32 | Pid32 => int(4, true),
            Int64 | Errno | Fd | Pid => int(8, true),
            Uint8 | Flags8 | Enumflags8 | Sigtype | L4proto | Sockfamily => int(1, false),
            Uint16 | Flags16 | Enumflags16 | Syscallid | Port => int(2, false),
            Uint32 | Flags32 | Enumflags32 | Uid | Gid | Mode | Sigset | Bool => int(4, false),
            Uint64 | Reltime | Abstime => int(8, false),
            Charbuf | Fspath | Fsrelpath => Coding::Text,
            Sockaddr => Coding::Sockaddr,
            Socktuple => Coding::Socktuple,
            Fdlist => Coding::Fdlist,
            Dyn => Coding::Dyn,
            Bytebuf | Double | Charbufarray | CharbufPairArray | Ipv4addr | Ipv6addr | Ipv4net | Ipv6net | Ipaddr
            | Ipnet => Coding::Bytes,
        }
    }
}

/// How a number prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintFormat {
    Na,
    Dec,
    Hex,
    Oct,
    Id,
    Dir,
    PaddedDec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    Unknown,
    Other,
    File,
    Net,
    Ipc,
    Memory,
    Process,
    Sleep,
    System,
    Signal,
    User,
    Time,
    Processing,
    IoRead,
    IoWrite,
    IoOther,
    Wait,
    Scheduler,
    Internal,
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Syscall,
    Tracepoint,
    Plugin,
    Metaevent,
    Iter,
    Internal,
    Snapshot,
}

pub const CREATES_FD: u8 = 1;
pub const DESTROYS_FD: u8 = 2;
pub const USES_FD: u8 = 4;
pub const READS_FROM_FD: u8 = 8;
pub const WRITES_TO_FD: u8 = 16;
pub const MODIFIES_STATE: u8 = 32;
/// Parameter lengths are u32 instead of u16 in captures.
pub const LARGE_PAYLOAD: u8 = 64;
pub const WAITS: u8 = 128;

#[derive(Debug)]
pub struct DynType {
    pub kind: ParamType,
    pub format: PrintFormat,
}

#[derive(Debug)]
pub struct ParamInfo {
    pub name: &'static str,
    pub kind: ParamType,
    pub format: PrintFormat,
    /// Row of `generated::flags::FLAG_TABLES`.
    pub flags: Option<usize>,
    pub dynamic: Option<&'static [DynType]>,
    /// The parameter with the directory descriptor that this path is relative to.
    pub dirfd: Option<usize>,
}

#[derive(Debug)]
pub struct EventInfo {
    pub code: u16,
    pub name: &'static str,
    pub category: Category,
    pub source: Source,
    pub flags: u8,
    /// The parameter with the descriptor that the event works on.
    pub fd: Option<usize>,
    pub params: &'static [ParamInfo],
}

impl EventKind {
    /// The kind with this code, if the table has it.
    pub fn from_code(code: u16) -> Option<EventKind> {
        let row = *ROW_BY_CODE.get(usize::from(code))?;
        KINDS.get(usize::from(row)).copied()
    }

    /// The kind with this name, if the table has it.
    pub fn from_name(name: &str) -> Option<EventKind> {
        EVENTS.iter().position(|event| event.name == name).map(|row| KINDS[row])
    }

    pub fn info(self) -> &'static EventInfo {
        &EVENTS[self as usize]
    }

    pub fn code(self) -> u16 {
        self.info().code
    }

    /// True for what the kernel produced (system calls, scheduler), false for what a host tells about itself
    /// (snapshots, users, containers): the latter are numbered, but are no rows and no input of rules.
    pub fn is_kernel(self) -> bool {
        matches!(self.info().source, Source::Syscall | Source::Tracepoint)
    }
}

/// What a field reads, and so how long the result of a test of it can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Event,
    Process,
    Fd,
    Container,
    User,
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgRule {
    None,
    Optional,
    Required,
}

#[derive(Debug)]
pub struct FieldInfo {
    pub name: &'static str,
    pub kind: ParamType,
    pub scope: Scope,
    pub format: PrintFormat,
    pub list: bool,
    pub arg: ArgRule,
    /// `[n]`, `[NAME]`, `.name`, `[index] or .name`, …; empty without argument.
    pub arg_syntax: &'static str,
    /// Not allowed in outputs.
    pub filter_only: bool,
    pub no_transformer: bool,
}

impl Field {
    pub fn info(self) -> &'static FieldInfo {
        &FIELDS[self as usize]
    }

    pub fn from_name(name: &str) -> Option<Field> {
        FIELDS.iter().position(|f| f.name == name).map(|i| ALL_FIELDS[i])
    }
}

/// A system call of x86_64.
#[derive(Debug)]
pub struct SyscallInfo {
    pub nr: u16,
    pub name: &'static str,
    pub ppm_sc: u16,
    pub event: u16,
    pub state: bool,
    pub io: bool,
}

/// A superseded event or an enter event, as old captures hold it.
#[derive(Debug)]
pub struct Layout {
    pub code: u16,
    pub name: &'static str,
    pub large: bool,
    pub enter: bool,
    pub managed: bool,
    pub old: bool,
    pub params: &'static [ParamType],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Pass,
    Store,
    StoreAndPass,
    Add,
    Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Old { param: usize, or_empty: bool },
    Enter { param: usize, or_empty: bool },
    Default,
    Empty,
    Callback,
}

#[derive(Debug)]
pub struct Conversion {
    pub code: u16,
    pub nparams: usize,
    pub action: Action,
    pub to: u16,
    pub fill: &'static [Fill],
}
