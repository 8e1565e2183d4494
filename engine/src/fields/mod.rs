//! The value of every field on an event, read from the event and the state: what rules and outputs see.

mod container;
mod evt;
pub(crate) mod fd;
mod fdlist;
mod io;
mod names;
mod path;
pub(crate) mod proc;
mod resources;
mod syslog;
pub(crate) mod user;

use std::sync::Arc;

use container::By;

use crate::event::Event;
use crate::generated::events::EventKind;
use crate::generated::fields::Field;
use crate::state::fds::Fd;
use crate::state::threads::Thread;
use crate::state::{Seen, State};
use crate::value::{Facts, FieldArg, Value, Version};

/// One event and the state as it left it.
pub struct EventView<'a> {
    pub event: Event<'a>,
    /// `evt.num`.
    pub number: u64,
    pub state: &'a State,
    pub seen: &'a Seen,
    /// Name of the host, and time of its first event.
    pub hostname: &'a str,
    pub first_ts: u64,
}

impl<'a> EventView<'a> {
    pub(crate) fn thread(&self) -> Option<&'a Thread> {
        self.seen.thread.map(|slot| &self.state.threads[slot])
    }

    /// Main thread of the event's process.
    pub(crate) fn main(&self) -> Option<&'a Thread> {
        let threads = &self.state.threads;
        threads.main(self.seen.thread?).map(|slot| &threads[slot])
    }

    pub(crate) fn file(&self) -> Option<&'a Arc<Fd>> {
        self.seen.file.as_ref()
    }

    fn arg_text(&self, name: &[u8]) -> Option<usize> {
        self.event
            .kind()
            .info()
            .params
            .iter()
            .position(|param| param.name.as_bytes() == name)
    }
}

impl Facts for EventView<'_> {
    fn kind(&self) -> EventKind {
        self.event.kind()
    }

    fn process_version(&self) -> Option<Version> {
        let thread = self.thread()?;
        let told = if thread.in_container() {
            self.state.containers.version()
        } else {
            0
        };
        Some((thread.version, told))
    }

    fn fd_version(&self) -> Option<Version> {
        // Which ends are local the interfaces tell.
        let interfaces = self.state.interfaces.count() as u64;
        self.seen.file.as_ref().map(|_| (self.seen.fd_version, interfaces))
    }

    fn field(&self, field: Field, arg: &FieldArg) -> Value<'_> {
        use Field as F;
        match field {
            F::EvtNum => Value::Uint(self.number),
            F::EvtTime
            | F::EvtTimeS
            | F::EvtTimeIso8601
            | F::EvtDatetime
            | F::EvtDatetimeS
            | F::EvtOutputtime
            | F::EvtRawtime => Value::Uint(self.event.ts()),
            F::EvtRawtimeS => Value::Uint(self.event.ts() / 1_000_000_000),
            F::EvtRawtimeNs => Value::Uint(self.event.ts() % 1_000_000_000),
            F::EvtReltime => Value::Uint(evt::since_first(self)),
            F::EvtReltimeS => Value::Uint(evt::since_first(self) / 1_000_000_000),
            F::EvtReltimeNs => Value::Uint(evt::since_first(self) % 1_000_000_000),
            F::EvtDeltatime => Value::Uint(evt::since_before(self)),
            F::EvtDeltatimeS => Value::Uint(evt::since_before(self) / 1_000_000_000),
            F::EvtDeltatimeNs => Value::Uint(evt::since_before(self) % 1_000_000_000),
            // A call is one event, told at its end.
            F::EvtLatency | F::EvtLatencyS | F::EvtLatencyNs | F::EvtLatencyQuantized | F::EvtWaitLatency => {
                Value::Uint(0)
            }
            F::EvtLatencyHuman => Value::Text(b"0ns"),
            F::EvtAround => evt::around(self, arg),
            F::EvtSource => Value::Text(b"syscall"),
            F::EvtIsAsync => Value::Bool(evt::is_meta(self)),
            F::EvtAsynctype => evt::asynctype(self),
            F::EvtHostname => Value::Text(self.hostname.as_bytes()),
            F::EvtDir => Value::Text(if self.event.kind().code().is_multiple_of(2) {
                b">"
            } else {
                b"<"
            }),
            F::EvtType => evt::name(self),
            F::EvtTypeIs => evt::is_type(self, arg),
            F::SyscallType => evt::syscall(self),
            F::EvtCategory => evt::category(self),
            F::EvtCpu => Value::Int(i64::from(self.event.cpu())),
            F::EvtArgs | F::EvtInfo => evt::args(self),
            F::EvtArg => evt::arg(self, arg),
            F::EvtRawarg => evt::rawarg(self, arg),
            F::EvtBuffer => Value::from(self.arg_text(b"data").and_then(|param| self.event.param(param))),
            F::EvtRes => evt::res(self),
            F::EvtRawres => self.event.result().map_or(Value::Absent, Value::Int),
            F::EvtFailed => self
                .event
                .result()
                .map_or(Value::Absent, |result| Value::Bool(result < 0)),
            F::EvtIsIo => evt::has_flag(self, crate::table::READS_FROM_FD | crate::table::WRITES_TO_FD),
            F::EvtIsIoRead => evt::has_flag(self, crate::table::READS_FROM_FD),
            F::EvtIsIoWrite => evt::has_flag(self, crate::table::WRITES_TO_FD),
            F::EvtIsWait => evt::has_flag(self, crate::table::WAITS),
            F::EvtIoDir => io::direction(self),
            F::EvtIsSyslog => Value::Bool(io::is_syslog(self)),
            F::EvtBuflen => io::bytes(self, io::Way::Any, io::Kind::Any),
            F::EvtBuflenIn => io::bytes(self, io::Way::In, io::Kind::Any),
            F::EvtBuflenOut => io::bytes(self, io::Way::Out, io::Kind::Any),
            F::EvtBuflenFile => io::bytes(self, io::Way::Any, io::Kind::File),
            F::EvtBuflenFileIn => io::bytes(self, io::Way::In, io::Kind::File),
            F::EvtBuflenFileOut => io::bytes(self, io::Way::Out, io::Kind::File),
            F::EvtBuflenNet => io::bytes(self, io::Way::Any, io::Kind::Net),
            F::EvtBuflenNetIn => io::bytes(self, io::Way::In, io::Kind::Net),
            F::EvtBuflenNetOut => io::bytes(self, io::Way::Out, io::Kind::Net),
            F::EvtCount => Value::Uint(1),
            F::EvtCountError => io::error(self, |_| true),
            F::EvtCountErrorFile => io::error(self, |of| of == io::Of::File),
            F::EvtCountErrorNet => io::error(self, |of| of == io::Of::Net),
            F::EvtCountErrorMemory => io::error(self, |of| of == io::Of::Memory),
            F::EvtCountErrorOther => io::error(self, |of| of == io::Of::Other),
            F::EvtCountExit => {
                if self.event.kind().code().is_multiple_of(2) {
                    Value::Absent
                } else {
                    Value::Uint(1)
                }
            }
            F::EvtCountProcinfo | F::EvtCountThreadinfo => Value::Uint(0),
            F::EvtAbspath => path::absolute(self, arg),
            // What plugins, container engines, samples of processor use and switches of the scheduler would tell.
            F::EvtPluginname
            | F::EvtPlugininfo
            | F::EvtInfraDockerName
            | F::EvtInfraDockerContainerId
            | F::EvtInfraDockerContainerName
            | F::EvtInfraDockerContainerImage
            | F::ThreadExectime
            | F::ThreadTotexectime
            | F::ThreadCpu
            | F::ThreadCpuUser
            | F::ThreadCpuSystem => Value::Absent,
            F::EvtIsOpenRead => evt::open_flag(self, evt::O_RDONLY),
            F::EvtIsOpenWrite => evt::open_flag(self, evt::O_WRONLY),
            F::EvtIsOpenExec => evt::open_exec(self),
            F::EvtIsOpenCreate => evt::open_create(self),
            F::ProcExe => proc::of(self, |thread| Value::Text(&thread.exe)),
            F::ProcPexe => proc::of_parent(self, |thread| Value::Text(&thread.exe)),
            F::ProcAexe => proc::of_ancestors(self, arg, |thread| Value::Text(&thread.exe)),
            F::ProcExepath => proc::of(self, |thread| Value::Text(&thread.exepath)),
            F::ProcPexepath => proc::of_parent(self, |thread| Value::Text(&thread.exepath)),
            F::ProcAexepath => proc::of_ancestors(self, arg, |thread| Value::Text(&thread.exepath)),
            F::ProcName => proc::of(self, |thread| Value::Text(&thread.comm)),
            F::ProcPname => proc::of_parent(self, |thread| Value::Text(&thread.comm)),
            F::ProcAname => proc::of_ancestors(self, arg, |thread| Value::Text(&thread.comm)),
            F::ProcArgs => proc::args(self, arg),
            F::ProcAargs => proc::ancestors_args(self, arg),
            F::ProcCmdline => proc::of(self, |thread| Value::Owned(proc::cmdline(thread))),
            F::ProcPcmdline => proc::of_parent(self, |thread| Value::Owned(proc::cmdline(thread))),
            F::ProcAcmdline => proc::of_ancestors(self, arg, |thread| Value::Owned(proc::cmdline(thread))),
            F::ProcCmdnargs => proc::of(self, |thread| {
                Value::Uint(crate::state::text::items(&thread.args).count() as u64)
            }),
            F::ProcCmdlenargs => proc::of(self, |thread| {
                Value::Uint(
                    crate::state::text::items(&thread.args)
                        .map(|arg| arg.len() as u64)
                        .sum(),
                )
            }),
            F::ProcExeline => proc::of(self, |thread| Value::Owned(proc::exeline(thread))),
            F::ProcEnv => proc::env(self, arg),
            F::ProcAenv => proc::ancestors_env(self, arg),
            F::ProcLoginshellid => proc::login_shell(self),
            F::ProcCwd => self
                .seen
                .thread
                .map_or(Value::Absent, |slot| Value::Text(self.state.cwd(slot))),
            F::ProcTty => proc::of(self, |thread| Value::Uint(u64::from(thread.tty))),
            F::ProcPid => proc::of(self, |thread| proc::id(thread.pid)),
            F::ProcPpid => proc::of_parent(self, |thread| proc::id(thread.pid)),
            F::ProcApid => proc::of_ancestors(self, arg, |thread| proc::id(thread.pid)),
            F::ProcVpid => proc::of(self, |thread| proc::virtual_id(thread.vpid)),
            F::ProcPvpid => proc::of_parent(self, |thread| proc::virtual_id(thread.vpid)),
            F::ProcSid => proc::of(self, |thread| Value::Int(thread.sid)),
            F::ProcSname => proc::of_leader(self, proc::Leads::Session, |thread| &thread.comm),
            F::ProcSidExe => proc::of_leader(self, proc::Leads::Session, |thread| &thread.exe),
            F::ProcSidExepath => proc::of_leader(self, proc::Leads::Session, |thread| &thread.exepath),
            F::ProcVpgid => proc::of(self, |thread| Value::Int(thread.vpgid)),
            F::ProcVpgidName => proc::of_leader(self, proc::Leads::VirtualGroup, |thread| &thread.comm),
            F::ProcVpgidExe => proc::of_leader(self, proc::Leads::VirtualGroup, |thread| &thread.exe),
            F::ProcVpgidExepath => proc::of_leader(self, proc::Leads::VirtualGroup, |thread| &thread.exepath),
            F::ProcPgid => proc::of(self, |thread| Value::Int(thread.pgid)),
            F::ProcPgidName => proc::of_leader(self, proc::Leads::Group, |thread| &thread.comm),
            F::ProcPgidExe => proc::of_leader(self, proc::Leads::Group, |thread| &thread.exe),
            F::ProcPgidExepath => proc::of_leader(self, proc::Leads::Group, |thread| &thread.exepath),
            F::ProcDuration => proc::of(self, |thread| proc::since(self, thread)),
            F::ProcPpidDuration => proc::of_parent(self, |thread| proc::since(self, thread)),
            F::ProcPidTs => proc::of(self, |thread| proc::nonzero(thread.clone_ts)),
            F::ProcPpidTs => proc::of_parent(self, |thread| proc::nonzero(thread.clone_ts)),
            F::ProcIsExeWritable => proc::exe_flag(self, proc::EXE_WRITABLE),
            F::ProcIsExeUpperLayer => proc::exe_flag(self, proc::EXE_UPPER_LAYER),
            F::ProcIsExeLowerLayer => proc::exe_flag(self, proc::EXE_LOWER_LAYER),
            F::ProcIsExeFromMemfd => proc::exe_flag(self, proc::EXE_FROM_MEMFD),
            F::ProcIsGuessed => proc::of(self, |thread| Value::Bool(thread.guessed_until != 0)),
            F::ProcIsSidLeader => proc::of(self, |thread| Value::Bool(thread.sid == thread.vpid)),
            F::ProcIsVpgidLeader => proc::of(self, |thread| Value::Bool(thread.vpgid == thread.vpid)),
            F::ProcIsPgidLeader => proc::of(self, |thread| Value::Bool(thread.pgid == thread.pid)),
            F::ProcExeIno => proc::of(self, |thread| proc::nonzero(thread.exe_ino)),
            F::ProcExeInoCtime => proc::of(self, |thread| proc::nonzero(thread.exe_ctime)),
            F::ProcExeInoMtime => proc::of(self, |thread| proc::nonzero(thread.exe_mtime)),
            F::ProcExeInoCtimeDurationProcStart => proc::of(self, |thread| proc::nonzero(thread.ctime_to_clone)),
            F::ProcExeInoCtimeDurationPidnsStart => proc::of(self, |thread| proc::nonzero(thread.ctime_to_pidns)),
            F::ProcPidnsInitStartTs => proc::of(self, |thread| proc::nonzero(thread.pidns_start)),
            F::ThreadCapPermitted => proc::of(self, |thread| proc::capabilities(thread.cap_permitted)),
            F::ThreadCapInheritable => proc::of(self, |thread| proc::capabilities(thread.cap_inheritable)),
            F::ThreadCapEffective => proc::of(self, |thread| proc::capabilities(thread.cap_effective)),
            F::ProcFdlimit => self.main().map_or(Value::Absent, |main| Value::Int(main.fdlimit)),
            F::ProcFdopencount => self
                .main()
                .map_or(Value::Absent, |main| Value::Uint(main.fds.len() as u64)),
            F::ProcFdusage => self.main().map_or(Value::Absent, resources::fd_usage),
            F::ProcVmsize => resources::memory(self, |memory| memory.size.into()),
            F::ProcVmrss => resources::memory(self, |memory| memory.resident.into()),
            F::ProcVmswap => resources::memory(self, |memory| memory.swapped.into()),
            F::ThreadPfmajor => resources::memory(self, |memory| memory.major_faults),
            F::ThreadPfminor => resources::memory(self, |memory| memory.minor_faults),
            F::ThreadVmsize => resources::of_main(self, |memory| memory.size.into()),
            F::ThreadVmrss => resources::of_main(self, |memory| memory.resident.into()),
            F::ThreadVmsizeB => resources::of_main(self, |memory| u64::from(memory.size) << 10),
            F::ThreadVmrssB => resources::of_main(self, |memory| u64::from(memory.resident) << 10),
            F::ProcNthreads => resources::threads(self, true),
            F::ProcNchilds => resources::threads(self, false),
            F::ProcStdinType => resources::stdio_type(self, 0),
            F::ProcStdoutType => resources::stdio_type(self, 1),
            F::ProcStderrType => resources::stdio_type(self, 2),
            F::ProcStdinName => resources::stdio_name(self, 0),
            F::ProcStdoutName => resources::stdio_name(self, 1),
            F::ProcStderrName => resources::stdio_name(self, 2),
            F::ThreadTid => proc::id(self.event.tid()),
            F::ThreadIsmain => proc::of(self, |thread| Value::Bool(thread.tid == thread.pid)),
            F::ThreadNametid => proc::of(self, proc::name_and_id),
            F::ThreadVtid => proc::of(self, |thread| proc::virtual_id(thread.vtid)),
            F::ThreadCgroups => proc::cgroups(self),
            F::ThreadCgroup => proc::cgroup(self, arg),
            F::UserUid => proc::of(self, |thread| Value::Uint(u64::from(thread.uid))),
            F::UserName => user::name(self),
            F::UserHomedir => user::home(self),
            F::UserShell => user::shell(self),
            F::UserLoginuid => proc::of(self, |thread| Value::Int(i64::from(thread.loginuid as i32))),
            F::UserLoginname => user::login(self),
            F::GroupGid => proc::of(self, |thread| Value::Uint(u64::from(thread.gid))),
            F::GroupName => user::group(self),
            F::FdNum => self
                .seen
                .fd
                .filter(|_| self.seen.thread.is_some())
                .map_or(Value::Absent, Value::Int),
            F::FdType => fd::of(self, |fd| Value::Text(fd.kind.names().0.as_bytes())),
            F::FdTypechar => fd::typechar(self),
            F::FdName => fd::name(self),
            F::FdDirectory => fd::directory(self),
            F::FdFilename => fd::filename(self),
            F::FdIp | F::FdNet => fd::ips(self),
            F::FdCip | F::FdCnet => fd::ip(self, fd::Side::Client),
            F::FdSip | F::FdSnet => fd::ip(self, fd::Side::Server),
            F::FdLip | F::FdLnet => fd::ip(self, fd::Side::Local),
            F::FdRip | F::FdRnet => fd::ip(self, fd::Side::Remote),
            F::FdPort | F::FdProto => fd::ports(self),
            F::FdCport => fd::port(self, fd::Side::Client),
            F::FdSport => fd::port(self, fd::Side::Server),
            F::FdLport => fd::port(self, fd::Side::Local),
            F::FdRport => fd::port(self, fd::Side::Remote),
            F::FdCproto => fd::port_text(self, fd::Side::Client),
            F::FdSproto => fd::port_text(self, fd::Side::Server),
            F::FdLproto => fd::port_text(self, fd::Side::Local),
            F::FdRproto => fd::port_text(self, fd::Side::Remote),
            F::FdUid => fd::uid(self),
            F::FdContainername => fd::in_container(self, fd::name(self)),
            F::FdContainerdirectory => fd::in_container(self, fd::directory(self)),
            F::FdTypes => resources::fd_types(self, arg),
            F::FdL4proto => fd::of(self, |fd| Value::Text(fd.l4proto().unwrap_or("<NA>").as_bytes())),
            F::FdSockfamily => fd::family(self),
            F::FdIsServer => fd::of(self, |fd| Value::Bool(fd::is_server(self, fd))),
            F::FdConnected => fd::of(self, |fd| Value::Bool(fd.connected)),
            F::FdNameChanged => fd::of(self, |_| Value::Bool(self.seen.name_changed)),
            // Names are resolved when rules are loaded; outputs have none.
            F::FdCipName => fd::ip(self, fd::Side::Client),
            F::FdSipName => fd::ip(self, fd::Side::Server),
            F::FdLipName => fd::ip(self, fd::Side::Local),
            F::FdRipName => fd::ip(self, fd::Side::Remote),
            F::FdDev => fd::of(self, |fd| Value::Int(i64::from(fd.dev as i32))),
            F::FdDevMajor => fd::of(self, |fd| Value::Uint(u64::from(fd.dev >> 8 & 0xfff))),
            F::FdDevMinor => fd::of(self, |fd| {
                Value::Uint(u64::from(fd.dev & 0xff | fd.dev >> 12 & 0xf_ff00))
            }),
            F::FsPathName => path::single(self, path::Form::Absolute),
            F::FsPathNameraw => path::single(self, path::Form::Raw),
            F::FsPathSource => path::source(self, path::Form::Absolute),
            F::FsPathSourceraw => path::source(self, path::Form::Raw),
            F::FsPathTarget => path::target(self, path::Form::Absolute),
            F::FsPathTargetraw => path::target(self, path::Form::Raw),
            F::FdlistNums => fdlist::numbers(self),
            F::FdlistNames => fdlist::names(self),
            F::FdlistCips => fdlist::ips(self, fd::Side::Client),
            F::FdlistSips => fdlist::ips(self, fd::Side::Server),
            F::FdlistCports => fdlist::ports(self, fd::Side::Client),
            F::FdlistSports => fdlist::ports(self, fd::Side::Server),
            F::SyslogFacility => syslog::facility(self),
            F::SyslogFacilityStr => syslog::facility_name(self),
            F::SyslogSeverity => syslog::severity(self),
            F::SyslogSeverityStr => syslog::severity_name(self),
            F::SyslogMessage => syslog::message(self),
            F::FdIno => fd::of(self, |fd| Value::Int(fd.ino as i64)),
            F::FdNameraw => fd::name_raw(self),
            F::FdIsUpperLayer => fd::of(self, |fd| Value::Bool(fd.upper)),
            F::FdIsLowerLayer => fd::of(self, |fd| Value::Bool(fd.lower)),
            F::ContainerId => container::id(self),
            F::ContainerName => container::name(self),
            F::ContainerStartTs => proc::of(self, |thread| proc::nonzero(thread.pidns_start)),
            F::ContainerDuration => container::duration(self),
            F::ContainerFullId => container::text(self, |container| &container.full_id),
            F::ContainerImage => container::text(self, |container| &container.image),
            F::ContainerImageId => container::text(self, |container| &container.image_id),
            F::ContainerImageRepository => container::text(self, |container| &container.repository),
            F::ContainerImageTag => container::text(self, |container| &container.tag),
            F::ContainerImageDigest => container::text(self, |container| &container.digest),
            F::ContainerType => container::text(self, |container| &container.engine),
            F::ContainerIp => container::text(self, |container| &container.ip),
            F::ContainerCniJson => container::text(self, |container| &container.cni_json),
            F::ContainerPrivileged => container::flag(self, |container| container.privileged),
            F::ContainerHostPid => container::flag(self, |container| container.host_pid),
            F::ContainerHostNetwork => container::flag(self, |container| container.host_network),
            F::ContainerHostIpc => container::flag(self, |container| container.host_ipc),
            F::ContainerMounts => container::mounts(self),
            F::ContainerMount => container::mount(self, arg, By::Source, container::mount_text),
            F::ContainerMountSource => container::mount(self, arg, By::Destination, |mount| mount.source.clone()),
            F::ContainerMountDest => container::mount(self, arg, By::Source, |mount| mount.destination.clone()),
            F::ContainerMountMode => container::mount(self, arg, By::Source, |mount| mount.mode.clone()),
            F::ContainerMountRdwr => container::mount(self, arg, By::Source, |mount| container::rdwr(mount).to_vec()),
            F::ContainerMountPropagation => container::mount(self, arg, By::Source, |mount| mount.propagation.clone()),
            F::ContainerLabel => container::label(self, arg),
            F::ContainerLabels => container::labels(self),
            F::K8sPodName => container::kubernetes(self, b"io.kubernetes.pod.name"),
            F::K8sNsName => container::kubernetes(self, b"io.kubernetes.pod.namespace"),
            F::K8sPodId | F::K8sPodUid => container::kubernetes(self, b"io.kubernetes.pod.uid"),
            F::K8sPodSandboxId => container::sandbox_id(self, 12),
            F::K8sPodFullSandboxId => container::sandbox_id(self, usize::MAX),
            F::K8sPodLabel => container::pod_label(self, arg),
            F::K8sPodLabels => container::pod_labels(self),
            F::K8sPodIp => container::pod_text(self, |container| &container.ip),
            F::K8sPodCniJson => container::pod_text(self, |container| &container.cni_json),
            // What only an API server could tell; Falco's programs answer these with nothing, too.
            F::ContainerHealthcheck
            | F::ContainerLivenessProbe
            | F::ContainerReadinessProbe
            | F::K8sRcName
            | F::K8sRcId
            | F::K8sRcLabel
            | F::K8sRcLabels
            | F::K8sSvcName
            | F::K8sSvcId
            | F::K8sSvcLabel
            | F::K8sSvcLabels
            | F::K8sNsId
            | F::K8sNsLabel
            | F::K8sNsLabels
            | F::K8sRsName
            | F::K8sRsId
            | F::K8sRsLabel
            | F::K8sRsLabels
            | F::K8sDeploymentName
            | F::K8sDeploymentId
            | F::K8sDeploymentLabel
            | F::K8sDeploymentLabels => Value::Absent,
        }
    }
}
