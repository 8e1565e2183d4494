"""Where each field lives in the store: field → SQL over `events`, `processes` or `containers`, NULL where it is absent.

Read by sql.py alone. A field without an entry has no SQL form; REFUSED says why where the reason is not "not recorded".
"""

import errno
from collections.abc import Callable
from typing import Literal, NamedTuple

from tiercel.schemas import tables

Table = Literal["events", "processes", "containers"]
Kind = Literal["text", "int", "bool", "port", "ip", "net"]


class Column(NamedTuple):
    """An expression. `many`: an array, any item of which may pass. Absent where NULL, or where `guard` fails.

    `on_host`: of a field of containers, the expression for a process of none.
    """

    text: str
    table: Table
    kind: Kind
    many: bool = False
    guard: str = ""
    on_host: str = ""


REFUSED = {
    "evt.time": "is the text of a local time; compare evt.rawtime, or use --since",
    "evt.time.s": "is the text of a local time; compare evt.rawtime.s, or use --since",
    "evt.time.iso8601": "is the text of a time; compare evt.rawtime, or use --since",
    "evt.datetime": "is the text of a local time; compare evt.rawtime, or use --since",
    "evt.datetime.s": "is the text of a local time; compare evt.rawtime.s, or use --since",
    "evt.outputtime": "is the text of a local time; compare evt.rawtime, or use --since",
    "evt.reltime.s": "counts from the first event of a capture, which history has not",
    "evt.reltime.ns": "counts from the first event of a capture, which history has not",
    "evt.deltatime": "compares an event with the one before; compare evt.rawtime",
    "evt.deltatime.s": "compares an event with the one before; compare evt.rawtime",
    "evt.deltatime.ns": "compares an event with the one before; compare evt.rawtime",
    "evt.around": "is a span of time; compare evt.rawtime",
    "evt.abspath": "joins a path to a directory that is not stored; test evt.arg.NAME or fd.name",
    "fs.path.name": "joins a path to a directory that is not stored; test evt.arg.NAME or fd.name",
    "fs.path.source": "joins a path to a directory that is not stored; test evt.arg.NAME",
    "fs.path.target": "joins a path to a directory that is not stored; test evt.arg.NAME",
    "fs.path.nameraw": "is not stored by itself; test evt.arg.NAME",
    "fs.path.sourceraw": "is not stored by itself; test evt.arg.NAME",
    "fs.path.targetraw": "is not stored by itself; test evt.arg.NAME",
    "proc.aenv": "never leaves the host",
    "evt.reltime": "counts from the first event of a capture, which history has not",
    "evt.args": "is not stored as one text; test evt.arg.NAME",
    "evt.info": "is not stored as one text; test evt.arg.NAME",
    "evt.rawarg": "is not stored; test evt.arg.NAME, the rendered value",
    "proc.env": "never leaves the host",
    "proc.duration": "compares the event with its process; test proc.pid.ts",
    "proc.ppid.duration": "compares the event with its process; test proc.ppid.ts",
    "container.start_ts": "is not stored; test proc.pid.ts",
    "container.duration": "compares the event with its process; test proc.pid.ts",
    "fd.cip.name": "names a host by DNS as it is now; test fd.cip",
    "fd.sip.name": "names a host by DNS as it is now; test fd.sip",
    "fd.lip.name": "names a host by DNS as it is now; test fd.lip",
    "fd.rip.name": "names a host by DNS as it is now; test fd.rip",
}

_KNOWN = "process != 0"
_IP = "fd_type IN ('ipv4', 'ipv6')"
# An address whose role (client, server) is unknown has no column, but stands in the name: `10.0.0.1:53->10.0.0.2:99`.
_NAME_ENDS = r"'^([^>]+):([0-9]+)(?:->(.+):([0-9]+))?$'"
_ADDRESSES = (
    "arrayDistinct(arrayFilter(a -> a IS NOT NULL, [fd_cip, fd_sip, fd_lip, fd_rip, "
    rf"if({_IP}, toIPv6OrNull(extractGroups(ifNull(fd_name, ''), {_NAME_ENDS})[1]), NULL), "
    rf"if({_IP}, toIPv6OrNull(extractGroups(ifNull(fd_name, ''), {_NAME_ENDS})[3]), NULL)]))"
)
_PORTS = (
    "arrayDistinct(arrayFilter(p -> p IS NOT NULL, [fd_cport, fd_sport, fd_lport, fd_rport, "
    rf"if({_IP}, toUInt16OrNull(extractGroups(ifNull(fd_name, ''), {_NAME_ENDS})[2]), NULL), "
    rf"if({_IP}, toUInt16OrNull(extractGroups(ifNull(fd_name, ''), {_NAME_ENDS})[4]), NULL)]))"
)
# Up to the last slash; the root, and a name without slash, give the root; a slash at the end stays. What only the event
# names has no type.
_DIRECTORY = (
    "multiIf(fd_type = 'directory', fd_name, fd_type = 'file' OR fd_type IS NULL, "
    "if(position(fd_name, '/') = 0 OR length(fd_name) - position(reverse(fd_name), '/') = 0, '/', "
    "if(endsWith(fd_name, '/'), fd_name, substring(fd_name, 1, length(fd_name) - position(reverse(fd_name), '/')))), "
    "NULL)"
)
_FILENAME = (
    "if(fd_type = 'file', if(fd_name = '/' OR position(fd_name, '/') = 0, '/', substringIndex(fd_name, '/', -1)), NULL)"
)
_CAPS = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
_ERRNO = dict(errno.errorcode) | {35: "EDEADLK", 95: "EOPNOTSUPP", 512: "ERESTARTSYS", 524: "ENOTSUPP"}


def _strings(items: list[str]) -> str:
    return "[" + ", ".join(f"'{item}'" for item in items) + "]"


def _types_with(flag: str) -> str:
    return _strings([event.name for event in tables.events() if flag in event.flags])


def _types_where(test: Callable[[tables.Event], bool]) -> str:
    return _strings([event.name for event in tables.events() if test(event)])


def _res() -> str:
    codes, names = list(_ERRNO), [_ERRNO[code] for code in _ERRNO]
    # Calls that answer with a process id: their errors stay numbers.
    pids = _types_where(lambda event: bool(event.params) and event.params[0].type == "pid")
    error = f"if(type IN {pids}, toString(res), transform(-res, {codes}, {_strings(names)}, toString(res)))"
    return f"if(res >= 0, 'SUCCESS', {error})"


def _caps(column: str) -> str:
    names = _strings([f"CAP_{name}" for name in _CAPS.split()])
    return f"arrayStringConcat(arrayFilter((n, i) -> bitTest({column}, i - 1), {names}, arrayEnumerate({names})), ' ')"


def _events() -> dict[str, Column]:
    """Fields that `events` answers by itself."""
    text: dict[str, str] = {
        "evt.type": "type",
        "evt.category": "category",
        "evt.source": "'syscall'",
        "evt.dir": f"if(type IN {_types_where(lambda event: event.code % 2 == 0)}, '>', '<')",
        "evt.hostname": "host",
        "evt.res": _res(),
        "evt.latency.human": "'0ns'",
        "evt.io_dir": f"multiIf(type IN {_types_with('writes_to_fd')}, 'write', "
        f"type IN {_types_with('reads_from_fd')}, 'read', NULL)",
        "fd.type": "fd_type",
        "fd.typechar": "fd_typechar",
        "fd.name": "fd_name",
        "fd.nameraw": "fd_nameraw",
        "fd.l4proto": "fd_l4proto",
        "fd.directory": _DIRECTORY,
        "fd.filename": _FILENAME,
        "fd.sockfamily": "multiIf(fd_type IN ('ipv4', 'ipv6'), 'ip', fd_type = 'unix', 'unix', NULL)",
    }
    number = {
        "evt.num": "seq",
        "evt.cpu": "cpu",
        "evt.rawres": "res",
        "evt.latency": "0",
        "evt.latency.s": "0",
        "evt.latency.ns": "0",
        "evt.latency.quantized": "0",
        "evt.wait_latency": "0",
        "evt.count": "1",
        "evt.count.error": "toInt64(res < 0)",
        "evt.count.exit": f"if(type IN {_types_where(lambda event: event.code % 2 == 0)}, NULL, 1)",
        "evt.count.procinfo": "0",
        "evt.count.threadinfo": "0",
        "evt.rawtime": "toUnixTimestamp64Nano(ts)",
        "evt.rawtime.s": "intDiv(toUnixTimestamp64Nano(ts), 1000000000)",
        "evt.rawtime.ns": "toUnixTimestamp64Nano(ts) % 1000000000",
        "thread.tid": "tid",
        "fd.num": "fd_num",
        "fd.dev": "fd_dev",
        "fd.ino": "fd_ino",
        "fd.dev.major": "bitAnd(bitShiftRight(toInt64(fd_dev), 8), 4095)",
        "fd.dev.minor": "bitOr(bitAnd(toInt64(fd_dev), 255), bitAnd(bitShiftRight(toInt64(fd_dev), 12), 1048320))",
    }
    truth = {
        "evt.failed": "res < 0",
        "evt.is_io": f"type IN {_types_with('reads_from_fd')} OR type IN {_types_with('writes_to_fd')}",
        "evt.is_io_read": f"type IN {_types_with('reads_from_fd')}",
        "evt.is_io_write": f"type IN {_types_with('writes_to_fd')}",
        "evt.is_wait": f"type IN {_types_with('waits')}",
        "evt.is_open_read": "bitTest(open, 0)",
        "evt.is_open_write": "bitTest(open, 1)",
        "evt.is_open_exec": "bitTest(open, 2)",
        "evt.is_open_create": "bitTest(open, 3)",
        "evt.is_async": "0",
        "fd.is_server": "fd_is_server",
        "fd.connected": "fd_connected",
        "fd.name_changed": "fd_name_changed",
    }
    of_process: dict[str, tuple[str, Kind]] = {
        "proc.name": ("proc_name", "text"),
        "proc.exepath": ("proc_exepath", "text"),
        "proc.cmdline": ("proc_cmdline", "text"),
        "proc.pname": ("proc_pname", "text"),
        "proc.pid": ("proc_pid", "int"),
        "user.uid": ("user_uid", "int"),
        "user.name": ("user_name", "text"),
        "container.id": ("container_id", "text"),
        "thread.nametid": ("concat(proc_name, toString(tid))", "text"),
        "thread.ismain": ("(tid = proc_pid)", "bool"),
        "proc.is_guessed": ("(proc_guessed)", "bool"),
    }
    found = {name: Column(sql, "events", kind, guard=_KNOWN) for name, (sql, kind) in of_process.items()}
    found |= {name: Column(sql, "events", "text") for name, sql in text.items()}
    found |= {name: Column(sql, "events", "int") for name, sql in number.items()}
    found |= {name: Column(f"({sql})", "events", "bool") for name, sql in truth.items()}
    others = _types_where(lambda event: event.source != "syscall")
    found["syscall.type"] = Column("type", "events", "text", guard=f"type NOT IN {others}")
    for end in "cslr":
        found[f"fd.{end}ip"] = Column(f"fd_{end}ip", "events", "ip")
        found[f"fd.{end}port"] = Column(f"fd_{end}port", "events", "port")
        found[f"fd.{end}proto"] = Column(f"toString(fd_{end}port)", "events", "text")
        found[f"fd.{end}net"] = Column(f"fd_{end}ip", "events", "net")
    found["fd.ip"] = Column(_ADDRESSES, "events", "ip", many=True)
    found["fd.net"] = Column(_ADDRESSES, "events", "net", many=True)
    found["fd.port"] = found["fd.proto"] = Column(_PORTS, "events", "port", many=True)
    return found


def _processes() -> dict[str, Column]:
    """Fields that the process of the event answers."""
    args = "arrayStringConcat(args, ' ')"
    text = {
        "proc.name": "name",
        "proc.exe": "exe",
        "proc.exepath": "exepath",
        "proc.args": args,
        "proc.cmdline": f"if(empty(args), name, concat(name, ' ', {args}))",
        "proc.exeline": f"concat(exe, ' ', {args})",
        "proc.cwd": "cwd",
        "proc.sname": "sname",
        "user.name": "user",
        "user.loginname": "login",
        "group.name": "`group`",
        "container.id": "container_id",
        "thread.cap_effective": _caps("cap_effective"),
        "thread.cap_permitted": _caps("cap_permitted"),
        "thread.cap_inheritable": _caps("cap_inheritable"),
        "proc.pname": "if(empty(ancestor_names), NULL, ancestor_names[1])",
        "proc.pexe": "if(empty(ancestor_names), NULL, ancestor_exes[1])",
        "proc.pexepath": "if(empty(ancestor_names), NULL, ancestor_exepaths[1])",
        "proc.pcmdline": "if(empty(ancestor_names), NULL, ancestor_cmdlines[1])",
    }
    number = {
        "proc.pid": "pid",
        "proc.ppid": "nullIf(ppid, -1)",
        "proc.vpid": "nullIf(vpid, -1)",
        "proc.sid": "sid",
        "proc.pgid": "pgid",
        "proc.vpgid": "vpgid",
        "proc.tty": "tty",
        "proc.cmdnargs": "length(args)",
        "proc.cmdlenargs": "arraySum(a -> length(a), args)",
        "proc.exe_ino": "nullIf(exe_ino, 0)",
        "proc.exe_ino.ctime": "nullIf(exe_ctime, 0)",
        "proc.exe_ino.mtime": "nullIf(exe_mtime, 0)",
        "proc.exe_ino.ctime_duration_proc_start": "nullIf(exe_ctime_to_start, 0)",
        "proc.pid.ts": "nullIf(started, 0)",
        "proc.ppid.ts": "if(empty(ancestor_names), NULL, nullIf(ancestor_started[1], 0))",
        "user.uid": "uid",
        "user.loginuid": "loginuid",
        "group.gid": "gid",
    }
    truth = {
        "proc.is_exe_writable": "bitTest(exe_flags, 0)",
        "proc.is_exe_upper_layer": "bitTest(exe_flags, 1)",
        "proc.is_exe_from_memfd": "bitTest(exe_flags, 2)",
        "proc.is_exe_lower_layer": "bitTest(exe_flags, 3)",
        "proc.is_guessed": "guessed",
        "proc.is_sid_leader": "sid = vpid",
        "proc.is_vpgid_leader": "vpgid = vpid",
        "proc.is_pgid_leader": "pgid = pid",
    }
    found = {name: Column(sql, "processes", "text") for name, sql in text.items()}
    found |= {name: Column(sql, "processes", "int") for name, sql in number.items()}
    return found | {name: Column(f"({sql})", "processes", "bool") for name, sql in truth.items()}


def _containers() -> dict[str, Column]:
    """Fields that the container of the event answers, as far as its runtime told of it, whenever that was."""
    label = "if(mapContains(labels, 'io.kubernetes.pod.{0}'), labels['io.kubernetes.pod.{0}'], NULL)"
    joined = (
        "arrayStringConcat(arrayMap((k, v) -> if(empty(v), k, concat(k, ':', v)), arrayFilter(k -> {0}, mapKeys({1})), "
        "arrayFilter((v, k) -> {0}, mapValues({1}), mapKeys({1}))), ', ')"
    )
    own = "NOT startsWith(k, 'annotation.') AND NOT startsWith(k, 'io.kubernetes.')"
    text = {
        "container.full_id": "full_id",
        "container.name": "name",
        "container.image": "image",
        "container.image.id": "image_id",
        "container.image.repository": "repository",
        "container.image.tag": "tag",
        "container.image.digest": "digest",
        "container.type": "engine",
        "container.ip": "ip",
        "container.cni.json": "cni_json",
        "container.mounts": f"arrayStringConcat({_MOUNTS}, ',')",
        "container.labels": joined.format(own, "labels"),
        "k8s.pod.name": label.format("name"),
        "k8s.ns.name": label.format("namespace"),
        "k8s.pod.id": label.format("uid"),
        "k8s.pod.uid": label.format("uid"),
        "k8s.pod.sandbox_id": "nullIf(substring(sandbox_id, 1, 12), '')",
        "k8s.pod.full_sandbox_id": "nullIf(sandbox_id, '')",
        "k8s.pod.labels": f"if({_IN_POD}, {joined.format(own, 'pod_labels')}, NULL)",
        "k8s.pod.ip": "if(in_pod, pod_ip, NULL)",
        "k8s.pod.cni.json": "if(in_pod, pod_cni_json, NULL)",
    }
    truth = {f"container.{name}": name for name in ("privileged", "host_pid", "host_network", "host_ipc")}
    found = {name: Column(sql, "containers", "text") for name, sql in text.items()}
    found["container.name"] = found["container.name"]._replace(on_host="'host'")
    return found | {name: Column(sql, "containers", "bool") for name, sql in truth.items()}


_IN_POD = "in_pod OR notEmpty(sandbox_id)"
_MOUNT_PARTS = {
    "container.mount.source": "mount_sources",
    "container.mount.dest": "mount_destinations",
    "container.mount.mode": "mount_modes",
    "container.mount.rdwr": "mount_rdwr",
    "container.mount.propagation": "mount_propagations",
}
_MOUNTS = (
    "arrayMap((s, d, m, w, p) -> concat(s, ':', d, ':', m, ':', w, ':', p), " + ", ".join(_MOUNT_PARTS.values()) + ")"
)


# Fields of the ancestors: (array of the ancestors, parent first; expression of the process itself, which is number 0).
_ANCESTORS: dict[str, tuple[str, str, Kind]] = {
    "proc.aname": ("ancestor_names", "name", "text"),
    "proc.aexe": ("ancestor_exes", "exe", "text"),
    "proc.aexepath": ("ancestor_exepaths", "exepath", "text"),
    "proc.acmdline": ("ancestor_cmdlines", _processes()["proc.cmdline"].text, "text"),
    "proc.apid": ("ancestor_pids", "pid", "int"),
}

EVENTS = _events()
PROCESSES = _processes()
CONTAINERS = _containers()


def columns(field: tables.Field, argument: int | str | None) -> list[Column] | str:
    """The ways to ask for a field, cheapest first, or why there is none. `argument` is without dot or brackets."""
    if field.name in _ANCESTORS:
        array, own, kind = _ANCESTORS[field.name]
        if argument is None:
            return [Column(array, "processes", kind, many=True)]
        number = int(argument)
        if number == 0:
            return [Column(own, "processes", kind)]
        return [Column(f"if(length({array}) < {number}, NULL, {array}[{number}])", "processes", kind)]
    if field.name == "proc.args" and argument is not None:
        return [Column(f"args[{int(argument) + 1}]", "processes", "text")]
    if field.name == "evt.arg" and argument is not None:
        return [_event_argument(argument)]
    found = [table[field.name] for table in (EVENTS, PROCESSES, CONTAINERS) if field.name in table]
    why = f"is {field.doc}" if "absent" in field.flags else "is not recorded in the store"
    return found or _of_container(field, argument) or REFUSED.get(field.name, why)


def _of_container(field: tables.Field, argument: int | str | None) -> list[Column] | str:
    """Fields of containers that take an argument, or never have a value."""
    if field.name in ("container.label", "k8s.pod.label") and argument is not None:
        return [_label("labels" if field.name == "container.label" else "pod_labels", str(argument))]
    if field.name == "container.mount" or field.name in _MOUNT_PARTS:
        array = _MOUNT_PARTS.get(field.name, _MOUNTS)
        if not isinstance(argument, int):
            return "finds a mount by a glob; give its number, or test container.mounts"
        return [Column(f"if(length({array}) > {argument}, {array}[{argument + 1}], NULL)", "containers", "text")]
    never = "deprecated" in field.flags and field.name.startswith(("container.", "k8s."))
    return "is deprecated and never has a value" if never else ""


def _label(column: str, key: str) -> Column:
    # A name from outside: in hex, it cannot be anything but text.
    name = f"unhex('{key.encode('utf-8', 'surrogateescape').hex()}')"
    return Column(f"if(mapContains({column}, {name}), {column}[{name}], NULL)", "containers", "text")


def _event_argument(argument: int | str) -> Column:
    if isinstance(argument, str):
        assert any(param.name == argument for event in tables.events() for param in event.params)
        return Column(f"if(mapContains(args, '{argument}'), args['{argument}'], NULL)", "events", "text")
    names = {e.name: e.params[argument].name for e in tables.events() if len(e.params) > argument}
    name = f"transform(type, {_strings(list(names))}, {_strings(list(names.values()))}, '')" if names else "''"
    return Column(f"if(mapContains(args, {name}), args[{name}], NULL)", "events", "text")
