"""Processes of a test as they are described, and what is told of them: one that exists, and one that executes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import Any

from tiercel.rules.document import Element, Mapping, Scalar
from tiercel.rules.testing import containers
from tiercel.rules.testing.containers import Container
from tiercel.rules.testing.descriptors import Descriptor
from tiercel.rules.testing.form import Form, given, integer, merged
from tiercel.rules.testing.people import People
from tiercel.schemas import generated

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
ALL = (1 << len(CAPABILITIES)) - 1
OF_CONTAINERS = 0xA80425FB
"""What Docker leaves to root in a container."""
ON_PATH = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/")
IN_PIDNS, FROM_MEMFD = 536_870_912, 4
NO_ID = 0xFFFF_FFFF
COMM = 15
NUMBERS = ("pid", "vpid", "sid", "pgid", "vpgid", "exe_ino")
KEYS = ("as", "exe", "name", "argv0", "args", "env", "user", "group", "login", "cwd", "root", "tty", "age", "exe_age",
        "cgroups", "capabilities", "exe_flags", "container", "parents", *NUMBERS)  # fmt: skip
OF_PROGRAM = ("name", "argv0", "args", "exe_flags", "exe_age", "exe_ino")
"""What belongs to the program: defaults of these do not outlive another `exe`."""


@dataclass(frozen=True, slots=True)
class Description:
    """A process as described; equal descriptions of equal descent are one process."""

    exe: str = "/usr/bin/program"
    name: str = "program"
    argv0: str = "program"
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    uid: int = 0
    gid: int = 0
    login: int = NO_ID
    cwd: str = "/"
    root: str = "/"
    tty: int = 0
    age: int = 3600 * 10**9
    exe_age: int = 30 * 86_400 * 10**9
    cgroups: tuple[str, ...] = ()
    capabilities: int = ALL
    exe_flags: int = 0
    container: Container | None = None
    numbers: tuple[tuple[str, int], ...] = ()
    parents: tuple[Description, ...] = ()

    def number(self, name: str) -> int | None:
        return dict(self.numbers).get(name)


PLAIN = Description()
INIT = Description(exe="/usr/lib/systemd/systemd", name="systemd", argv0="/sbin/init", numbers=(("pid", 1),))
SHIM = Description(exe="/usr/bin/containerd-shim-runc-v2", name="containerd-shim", argv0="containerd-shim-runc-v2")


@dataclass(slots=True)
class Process:
    """A process of the test: `first` is what it is before anything happens, `now` what it has become."""

    pid: int
    parent: Process | None
    first: Description
    now: Description
    next_fd: int = 3
    fds: dict[Descriptor, int] = field(default_factory=dict)
    """Numbers of its descriptors."""
    new_socket: tuple[int, int] | None = None
    """Number and family of the socket that was made last and is not connected yet."""

    def chain(self) -> list[Process]:
        """The process and its ancestors."""
        out, process = [], self
        while process is not None:
            out.append(process)
            process = process.parent  # type: ignore[assignment]
        return out


def laid_over(below: Element | None, above: Element | None) -> Element | None:
    """A description over the default one; another `exe` takes its name, arguments and flags away."""
    if isinstance(above, Scalar) and not above.null:
        above = Mapping({"exe": above}, {"exe": above}, above.place)
    if isinstance(below, Scalar) and not below.null:
        below = Mapping({"exe": below}, {"exe": below}, below.place)
    if isinstance(below, Mapping) and isinstance(above, Mapping) and "exe" in above.items:
        kept = [key for key in below.items if key not in OF_PROGRAM]
        below = Mapping({key: below.items[key] for key in kept}, {key: below.keys[key] for key in kept}, below.place)
    return merged(below, above)


def read(form: Form, element: Element | None, people: People, within: Container | None = None) -> Description:
    """A description; `within` is the container of a child."""
    if element is None:
        return PLAIN
    if isinstance(element, Scalar):
        element = Mapping({"exe": element}, {"exe": element}, element.place)
    node = form.mapping(element, "a process", KEYS)
    have = {key: value for key, value in node.items.items() if given(value) is not None}
    text = {key: form.text(have[key], key) for key in ("exe", "name", "argv0", "cwd", "root") if key in have}
    exe = text.get("exe", f"/usr/bin/{text['name']}" if "name" in text else PLAIN.exe)
    base = exe.rpartition("/")[2]
    container = containers.read(form, have["container"]) if "container" in have else None
    if "container" not in node.items:
        container = within
    uid, gid = _owner(form, have, people)
    out = Description(
        exe=exe,
        name=text.get("name", base)[:COMM],
        argv0=text.get("argv0", base if exe.removesuffix(base) in ON_PATH else exe),
        args=tuple(_words(form, have["args"], "args")) if "args" in have else (),
        env=tuple(_environment(form, have["env"])) if "env" in have else (),
        uid=uid,
        gid=gid,
        login=_login(form, have["login"], people) if "login" in have else NO_ID,
        cwd=text.get("cwd", "/"),
        root=text.get("root", "/"),
        tty=_terminal(form, have["tty"]) if "tty" in have else 0,
        age=form.duration(have["age"], "age") if "age" in have else PLAIN.age,
        exe_age=form.duration(have["exe_age"], "exe_age") if "exe_age" in have else PLAIN.exe_age,
        cgroups=tuple(form.texts(have["cgroups"], "cgroups")) if "cgroups" in have else (),
        capabilities=_capabilities(form, have.get("capabilities"), uid, container),
        exe_flags=_exe_flags(form, have.get("exe_flags")) | (FROM_MEMFD if exe.startswith("memfd:") else 0),
        container=container,
        numbers=tuple((key, form.number(have[key], key)) for key in NUMBERS if key in have),
    )
    parents: list[Description] = []
    for parent in form.items(have["parents"], "parents") if "parents" in have else []:
        container = parents[-1].container if parents else container
        parents.append(read(form, parent, people, container))
        if parents[-1].parents:
            raise form.error("a parent has no parents of its own: name them all in one list, the nearest first", parent)
    return replace(out, parents=tuple(parents))


def _owner(form: Form, have: dict[str, Element], people: People) -> tuple[int, int]:
    uid, gid = 0, None
    if "user" in have:
        element = have["user"]
        if isinstance(element, Mapping):
            node = form.mapping(element, "a user", ("name", "uid", "home", "shell"))
            if "name" not in node.items:
                raise form.error("a user has a name", element)
            user = people.user(form.text(node.items["name"], "name"))
            user.uid = form.number(node.items["uid"], "uid") if "uid" in node.items else user.uid
            user.home = form.text(node.items["home"], "home") if "home" in node.items else user.home
            user.shell = form.text(node.items["shell"], "shell") if "shell" in node.items else user.shell
            uid, gid = user.uid, people.group(user.name)
        else:
            text = form.text(element, "user")
            number = integer(text)
            uid, gid = (number, number) if number is not None else (people.user(text).uid, people.group(text))
    if "group" in have:
        text = form.text(have["group"], "group")
        number = integer(text)
        gid = number if number is not None else people.group(text)
    return uid, gid or 0


def _login(form: Form, element: Element, people: People) -> int:
    text = form.text(element, "login")
    number = integer(text)
    return number if number is not None and number >= 0 else NO_ID if number is not None else people.user(text).uid


def _words(form: Form, element: Element, what: str) -> list[str]:
    if not isinstance(element, Scalar):
        return form.texts(element, what)
    try:
        return shlex.split(element.text)
    except ValueError as error:
        raise form.error(f"{what}: {error}", element) from None


def _environment(form: Form, element: Element) -> list[str]:
    if isinstance(element, Mapping):
        return [f"{name}={form.text(value, name)}" for name, value in form.mapping(element, "env").items.items()]
    return form.texts(element, "env")


def _terminal(form: Form, element: Element) -> int:
    """`pts/0`, or a device number."""
    text = form.text(element, "tty")
    if text.startswith("pts/") and text[4:].isdigit():
        return (136 << 8) + int(text[4:8])
    return form.number(element, "tty")


def _capabilities(form: Form, element: Element | None, uid: int, container: Container | None) -> int:
    if element is None:
        return 0 if uid else ALL if container is None or container.privileged else OF_CONTAINERS
    if isinstance(element, Scalar) and element.text in ("all", "none"):
        return ALL if element.text == "all" else 0
    bits = 0
    for item in form.items(element, "capabilities (`all`, `none`, or names)"):
        name = form.text(item, "a capability").removeprefix("CAP_")
        if name not in CAPABILITIES:
            raise form.unknown("capability", f"CAP_{name}", (f"CAP_{known}" for known in CAPABILITIES), item)
        bits |= 1 << CAPABILITIES.index(name)
    return bits


def _exe_flags(form: Form, element: Element | None) -> int:
    if element is None:
        return 0
    known: dict[str, int] = generated.FLAGS["execve_flags"]
    names = element.text.split("|") if isinstance(element, Scalar) else form.texts(element, "exe_flags")
    for name in names:
        if name not in known:
            raise form.unknown("flag", name, known, element)
    return sum({known[name] for name in names})


def snapshot(process: Process, time: int) -> list[Any]:
    """The parameters of the event that tells of an existing process."""
    of = process.first
    inside = of.container is not None
    top = process.chain()
    session = next((p for p in reversed(top) if p.pid != 1 and p.first.container == of.container), process)
    vpid = of.number("vpid") or process.pid - (990 if inside else 0)
    return [
        process.pid,
        process.parent.pid if process.parent else 0,
        of.number("sid") or (session.first.number("vpid") or session.pid - (990 if inside else 0)),
        of.number("pgid") or process.pid,
        of.number("vpgid") or vpid,
        vpid,
        vpid,
        of.name,
        of.argv0,
        of.exe,
        list(of.args),
        list(of.env),
        of.cwd,
        of.root,
        cgroups(of),
        1024,
        of.uid,
        of.gid,
        of.login,
        of.tty,
        IN_PIDNS if inside else 0,
        of.exe_flags,
        0,
        of.capabilities,
        of.capabilities,
        of.number("exe_ino") or 4242,
        time - of.exe_age,
        time - of.exe_age,
        time - of.age,
        time - of.age if inside else 0,
        *(20_000, 4_000, 0, 0, 0),
    ]


def executed(process: Process, time: int) -> dict[str, Any]:
    """The parameters of the event by which a process becomes what it is now."""
    of = process.now
    inside = of.container is not None
    vpid = of.number("vpid") or process.pid - (990 if inside else 0)
    return {
        "exe": of.argv0,
        "args": list(of.args),
        "tid": process.pid,
        "pid": process.pid,
        "ptid": process.parent.pid if process.parent else 0,
        "cwd": of.cwd,
        "fdlimit": 1024,
        "vm_size": 400,
        "vm_rss": 4,
        "comm": of.name,
        "cgroups": cgroups(of),
        "env": list(of.env),
        "tty": of.tty,
        "vpgid": of.number("vpgid") or vpid,
        "loginuid": of.login,
        "flags": of.exe_flags,
        "cap_inheritable": 0,
        "cap_permitted": of.capabilities,
        "cap_effective": of.capabilities,
        "exe_ino": of.number("exe_ino") or 4242,
        "exe_ino_ctime": time - of.exe_age,
        "exe_ino_mtime": time - of.exe_age,
        "uid": of.uid,
        "trusted_exepath": of.exe,
        "pgid": of.number("pgid") or process.pid,
        "gid": of.gid,
        "filename": of.exe,
        "vtid": vpid,
        "vpid": vpid,
    }


def cgroups(of: Description) -> list[str]:
    return list(of.cgroups) or (of.container.cgroups() if of.container else ["cpuset=/", "memory=/system.slice"])
