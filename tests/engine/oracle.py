"""What a host's events make of its state, told as plainly as it can be: to be right, not to be quick.

Written from the semantics of libsinsp and docs/differences.md, not from the engine. Deliberately without bounds.
"""

from dataclasses import replace
from typing import Any

from tests.engine.oracle_fds import Params, Process, Thread, directory, joined
from tests.engine.oracle_sockets import Sockets

SECOND = 1_000_000_000
YOUNG = 2 * SECOND
FULL = (1 << 41) - 1
NEWPID, PARENT, THREAD, NEWUSER, IN_PIDNS = 64, 256, 8192, 1 << 20, 1 << 29
KEPT = 2**32 - 1

_FROM_CLONE = ("exe", "args", "fdlimit", "comm", "uid", "gid")
_FROM_EXEC = (
    *("exe", "args", "fdlimit", "comm", "uid", "gid", "tty", "loginuid"),
    *("cap_inheritable", "cap_permitted", "cap_effective"),
)


class Oracle(Sockets):
    """The state of one host."""

    def __init__(self) -> None:
        super().__init__()
        self.exits: dict[int, int] = {}

    def apply(self, name: str, time: int, tid: int, p: Params) -> None:
        """What one event changes; what it removes goes with the next."""
        self.settle()
        if name in ("clone", "fork", "vfork", "clone3"):
            self._clone(name, time, tid, p)
        elif name == "procexit":
            if tid in self.threads:
                self._procexit(time, self.threads[tid], p)
        else:
            thread = self.threads.setdefault(tid, Thread(tid))
            handler = getattr(self, f"_{name}", None)
            if handler is not None and thread.process is not None:
                handler(thread, thread.process, p)

    def settle(self) -> None:
        """Remove what the last event removed."""
        later, self.later = self.later, []
        for removal in later:
            removal()

    def describe(self, tid: int) -> dict[str, Any] | None:
        """As the engine's; of threads that nobody announced only that they are there."""
        thread = self.threads.get(tid)
        if thread is None or thread.process is None:
            return None if thread is None else {"tid": tid, "pid": -1, "ptid": -1, "dead": thread.dead, "threads": []}
        process = thread.process
        shared = {key: getattr(process, key) for key in ("pid", "cwd", "root", "sid", "pgid", "vpgid", "reaper")}
        own = {key: getattr(thread, key) for key in ("tid", "ptid", "vtid", "vpid", "dead")}
        lists = {
            "threads": sorted(process.members),
            "children": sorted(t.tid for t in self.children(thread) if t.process and t.process.pid == t.tid),
        }
        fds = {str(number): fd.describe() for number, fd in process.fds.items()}
        return shared | own | lists | thread.facts | {"fds": fds}

    def children(self, thread: Thread) -> list[Thread]:
        """The processes that a thread forked and the threads of those."""
        return [t for t in self.threads.values() if t.process is not None and t.ptid == thread.tid]

    def alive(self, process: Process) -> list[Thread]:
        """The threads of a process that run, oldest first."""
        return [self.threads[tid] for tid in process.members if not self.threads[tid].dead]

    # Threads

    def announce(self, process: Process, **own: Any) -> None:
        """A thread that was there before the first event."""
        thread = Thread(process=process, **own)
        self.threads[thread.tid] = thread
        process.members.append(thread.tid)
        process.reaper = process.reaper or 1 in (thread.process.pid if thread.process else 0, thread.vpid)

    def _clone(self, name: str, time: int, tid: int, p: Params) -> None:
        if p["res"] > 0:
            self._clone_told_by_caller(name, time, tid, p)
        elif p["res"] == 0:
            self._clone_told_by_child(time, tid, p)

    def _clone_told_by_caller(self, name: str, time: int, tid: int, p: Params) -> None:
        child, caller = p["res"], self.threads[tid]
        if p["flags"] & (NEWPID | PARENT | IN_PIDNS) or caller.tid != caller.vtid or name == "vfork":
            return
        there = self.threads.get(child)
        if there is not None and there.inverted:
            there.inverted = False
        elif time - self.exits.get(child, -YOUNG) >= YOUNG:
            if there is not None:
                self._remove(there)
            shares = p["flags"] & THREAD
            made = Thread(child, None, caller.ptid if shares else tid, child, caller.vpid if shares else child)
            self._make(made, caller, time, p)

    def _clone_told_by_child(self, time: int, tid: int, p: Params) -> None:
        there = self.threads.get(tid)
        if there is not None and time - there.facts.get("clone_ts", 0) < YOUNG:
            return
        if there is not None:
            self._remove(there)
        model = self.threads[p["pid"] if p["flags"] & THREAD else p["ptid"]]
        self._make(Thread(tid, None, p["ptid"], p["vtid"], p["vpid"], inverted=True), model, time, p)

    def _make(self, child: Thread, model: Thread, time: int, p: Params) -> None:
        process = model.process
        assert process is not None
        if not p["flags"] & THREAD:
            fds = {number: replace(fd) for number, fd in process.fds.items()}
            process = replace(process, pid=child.tid, members=[], reaper=False, fds=fds)
            if child.vpid == 1:  # its session and its group have no number in its pid namespace
                process.sid = process.vpgid = 0
        process.members.append(child.tid)
        process.reaper = process.reaper or child.vpid == 1
        child.process = process
        child.facts = model.facts | {key: p[key] for key in _FROM_CLONE} | {"clone_ts": time}
        child.in_pidns = bool(p["flags"] & IN_PIDNS) or child.tid != child.vtid
        self.threads[child.tid] = child

    def _procexit(self, time: int, thread: Thread, p: Params) -> None:
        thread.dead = True
        self.exits[thread.tid] = time
        self.later.append(lambda: self._remove(thread, p["reaper_tid"] or 0))

    def _remove(self, thread: Thread, reaper: int = 0) -> None:
        process = thread.process
        if process is None:
            del self.threads[thread.tid]
            return
        thread.dead = True
        self._leave_children(thread, process, reaper)
        if thread.tid != process.pid:
            self._forget(thread, process)
        leader = self.threads.get(process.pid)
        if leader is not None and leader.process is process and leader.dead and process.members == [process.pid]:
            self._forget(leader, process)

    def _forget(self, thread: Thread, process: Process) -> None:
        process.members.remove(thread.tid)
        del self.threads[thread.tid]

    def _leave_children(self, thread: Thread, process: Process, reaper: int) -> None:
        children = self.children(thread)
        if not children:
            return
        heir = self.threads.get(reaper) if reaper > 0 else None
        if heir is None:
            heir = next(iter(self.alive(process)), None) or self.reaper_above(thread)
        if heir is not None and heir.process is not None and heir.process is not process:
            heir.process.reaper = True
        for child in children:
            child.ptid = heir.tid if heir else 0

    def reaper_above(self, thread: Thread) -> Thread | None:
        above = self.threads.get(thread.ptid)
        while above is not None and above.process is not None and above.in_pidns == thread.in_pidns:
            alive = self.alive(above.process)
            if above.process.reaper and alive:
                return alive[0]
            leader = self.threads[above.process.pid]
            above = self.threads.get(leader.ptid)
        return None

    def _execve(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] < 0:
            return
        thread.dead = False
        thread.facts.update({key: p[key] for key in _FROM_EXEC})
        thread.facts["exepath"] = p["trusted_exepath"].removesuffix(" (deleted)")
        process.pgid, process.vpgid = p["pgid"], p["vpgid"]
        for number in [number for number, fd in process.fds.items() if fd.cloexec]:
            del process.fds[number]
        for tid in list(process.members):
            if tid != thread.tid:
                self._remove(self.threads[tid])

    _execveat = _execve

    def _prctl(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0 and p["option"] == 36:
            process.reaper = p["arg2_int"] != 0

    def _setsid(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            process.sid, process.pgid, process.vpgid = p["res"], process.pid, thread.vpid

    def _setpgid(self, thread: Thread, process: Process, p: Params) -> None:
        target = self.threads.get(p["pid"] or thread.tid)
        if p["res"] >= 0 and target is not None and target.process is not None:
            group = (p["pgid"], p["pgid"]) if p["pgid"] else (target.process.pid, target.vpid)
            target.process.pgid, target.process.vpgid = group

    def _setuid(self, thread: Thread, process: Process, p: Params) -> None:
        """capabilities(7), as far as the effective user tells: who was root is taken to be it in the others, too."""
        value = p.get("euid", p.get("uid"))
        facts, was_root = thread.facts, thread.facts["uid"] == 0
        if p["res"] >= 0 and value not in (None, KEPT):
            if value == 0 and not was_root:
                facts["cap_effective"] = facts["cap_permitted"]
            elif value != 0:
                if "suid" in p:
                    none_is_root = all(p[key] not in (None, KEPT, 0) for key in ("ruid", "suid"))
                elif "ruid" in p:
                    none_is_root = p["ruid"] not in (None, KEPT, 0)
                else:
                    none_is_root = was_root
                if none_is_root and (was_root or facts["cap_effective"] == 0):
                    facts["cap_permitted"] = 0
                if was_root or facts["cap_permitted"] == 0:
                    facts["cap_effective"] = 0
        self._id(thread, "uid", p, value)

    def _setgid(self, thread: Thread, process: Process, p: Params) -> None:
        self._id(thread, "gid", p, p.get("egid", p.get("gid")))

    _setresuid = _setreuid = _setuid
    _setresgid = _setregid = _setgid

    def _id(self, thread: Thread, kind: str, p: Params, value: int | None) -> None:
        if p["res"] >= 0 and value not in (None, KEPT):
            thread.facts[kind] = value

    def _capset(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            for kind in ("cap_inheritable", "cap_permitted", "cap_effective"):
                thread.facts[kind] = p[kind]

    def _unshare(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0 and p["flags"] & NEWUSER:
            thread.facts.update(cap_inheritable=0, cap_permitted=FULL, cap_effective=FULL)

    def _setns(self, thread: Thread, process: Process, p: Params) -> None:
        self._unshare(thread, process, {"res": p["res"], "flags": p["nstype"]})

    def _chdir(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            process.cwd = directory(joined(process.cwd, p["path"]))

    _getcwd = _chdir

    def _fchdir(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            process.cwd = directory(joined("/", process.fds[p["fd"]].name))

    def _chroot(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            process.root = joined(process.root, p["path"].lstrip("/"))

    def _setrlimit(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0 and p["resource"] == 7:
            self.threads[process.pid].facts["fdlimit"] = p["cur"]

    def _prlimit(self, thread: Thread, process: Process, p: Params) -> None:
        target = self.threads.get(p["pid"] or process.pid)
        if p["res"] >= 0 and p["resource"] == 7 and target is not None and target.process is not None:
            limit = p["oldcur"] if p["newcur"] == -1 else p["newcur"]
            self.threads[target.process.pid].facts["fdlimit"] = limit
