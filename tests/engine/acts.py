"""What threads do to processes, for the model test; what the semantics leave open is not done, as comments say."""

from tests.engine.events import EVENTS
from tests.engine.oracle import IN_PIDNS, KEPT, NEWPID, NEWUSER, PARENT, SECOND, THREAD, YOUNG
from tests.engine.oracle_fds import Process, Thread
from tests.engine.world import STRANGERS, TIDS, Act, Delayed, Picks, World

PATHS = ("a", "/b", "../c", "/d/./e//f", "..", "/", "x/../../y", "/b/")


def wait(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    world.time += 3 * SECOND


def stranger(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """Acts of a thread that nobody announced. What becomes of its descriptors is left open."""
    name, params = picks.of(
        (
            ("close", {"res": 0, "fd": 3}),
            ("open", {"fd": 3, "name": "/x", "flags": 1}),
            ("setuid", {"res": 0, "uid": 5}),
            ("chdir", {"res": 0, "path": "/x"}),
            ("kill", {"res": 0, "pid": 1, "sig": 9}),
            ("procexit", {"reaper_tid": 0}),
            ("clone", {"res": -11, "flags": 0}),
            ("execve", {"res": -2}),
        )
    )
    tid = picks.of(STRANGERS)
    there = world.oracle.threads.get(tid)
    # What exited just now does nothing any more.
    unknown = (there is None or there.process is None) and world.time - world.oracle.exits.get(tid, 0) > YOUNG + SECOND
    if unknown and all(delayed.tid != tid for delayed in world.delayed):
        world.tell(name, tid, **params)


def _free(world: World, parent: Thread, picks: Picks) -> list[int]:
    """Numbers for a new thread. One whose exit was lost may come again, if it was alone in its process.

    Whether one removed otherwise than by its exit counts as exited just now is left open.
    """
    free = []
    for tid in TIDS[3:] + STRANGERS:
        there = world.oracle.threads.get(tid)
        if any(delayed.tid == tid for delayed in world.delayed) or tid == parent.tid:
            continue
        if there is None:
            fit = world.time - world.gone.get(tid, 0) > YOUNG + SECOND
        elif there.process is None:
            fit = world.time - world.oracle.exits.get(tid, 0) > YOUNG + SECOND
        else:
            began = max(there.facts["clone_ts"], world.oracle.exits.get(tid, 0))
            old = world.time - began > YOUNG + SECOND
            fit = old and there.process.members == [tid] and tid != parent.ptid and not there.inverted
            fit = fit and world.heir_is_certain(there)
        if fit:
            free.append(tid)
    again = [tid for tid in free if tid in world.oracle.threads]
    return again if again and picks.odd(3) else free


def clone(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """A new process or thread, told by its maker, by itself, or both, in any order."""
    if picks.odd(4):
        world.time += 4 * SECOND
    free = _free(world, thread, picks)
    name = picks.of(("clone", "clone3", "clone", "fork", "vfork"))
    flags = picks.of((0, THREAD, THREAD, PARENT, 1, NEWPID)) if name.startswith("clone") else 0
    inside = thread.vtid != thread.tid
    facts = {key: thread.facts[key] for key in ("exe", "args", "fdlimit", "comm", "uid", "gid")}
    caller = {"tid": thread.tid, "pid": process.pid, "ptid": thread.ptid, "vtid": thread.vtid, "vpid": thread.vpid}
    cwd = picks.of((None, process.cwd))
    if not free or picks.odd(8):
        world.tell(name, thread.tid, res=picks.of((-11, -12)), flags=flags, cwd=cwd, **facts, **caller)
        return
    child = picks.of(free)
    # Threads inherit from their maker or from their leader, by who tells; where these differ is left open.
    leader = world.oracle.threads.get(process.pid)
    inherited = ("exepath", "tty", "loginuid", "cap_inheritable", "cap_permitted", "cap_effective")
    if leader is None or any(leader.facts[key] != thread.facts[key] for key in inherited):
        flags &= ~THREAD
    shares = bool(flags & THREAD)
    # Numbers within a namespace: the first process of a new one is 1, others have one of their own.
    vtid = 1 if flags & NEWPID else child + 1000 if inside else child
    if flags & NEWPID or (inside and not picks.odd(2)):
        flags |= IN_PIDNS
    parent = thread.ptid if flags & (THREAD | PARENT) else thread.tid
    own = {"tid": child, "pid": process.pid if shares else child, "vtid": vtid}
    own["vpid"] = thread.vpid if shares else vtid

    told: list[Thread] = []

    def by_caller() -> None:
        world.tell(name, thread.tid, res=child, flags=flags, cwd=cwd, **facts, **caller)
        made = world.oracle.threads.get(child)
        if made is not None and made.facts.get("clone_ts") == world.time:
            told.append(made)

    def by_child() -> None:
        world.oracle.settle()
        # Who took it over meanwhile is its parent, as far as anyone can tell.
        above = told[0].ptid if told else parent
        model = world.oracle.threads.get(process.pid if shares else above)
        known = model is not None and (model.process is process if shares else model.process and not model.dead)
        # Whether a dead leader outlives that its last thread is told again is left open.
        if shares and model is not None and model.dead and process.members == [process.pid, child]:
            return
        if model is not None and known:
            above = model.ptid if shares else above
            world.tell(name, child, res=0, flags=flags, cwd=cwd, ptid=above, **facts, **own)

    delays = picks.of(range(6))
    order = picks.of(("both", "child first", "child", "caller", "caller late", "child late"))
    if order in ("both", "caller", "child late"):
        by_caller()
    if order in ("both", "child first", "child", "caller late"):
        by_child()
    if order == "child first":
        by_caller()
    if order.endswith("late"):
        teller, tell = (thread.tid, by_caller) if order == "caller late" else (child, by_child)
        world.delayed.append(Delayed(delays, teller, tell))


def execute(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """A new program; the thread that asks for it takes the leader's number."""
    name = picks.of(("execve", "execveat"))
    result = picks.result()
    tid = thread.tid if result < 0 else process.pid
    if any(delayed.tid in process.members for delayed in world.delayed) or process.pid not in world.oracle.threads:
        return
    if result >= 0 and picks.odd(2):
        # The others die first, and their leader with them if it is not the one that asks.
        for member in list(process.members):
            if member != thread.tid and member in world.oracle.threads and not world.oracle.threads[member].dead:
                world.tell("procexit", member, reaper_tid=0)
                world.oracle.settle()
    number = picks.of(range(4))
    facts = {"exe": f"e{number}", "args": ["-a", str(number)], "comm": f"p{number}", "fdlimit": 100 + number}
    facts |= {"uid": number, "gid": number, "tty": number, "loginuid": number, "pgid": picks.of((process.pgid, 77))}
    facts |= {
        "vpgid": picks.of((process.vpgid, 78)),
        "trusted_exepath": f"/bin/p{number}" + picks.of(("", " (deleted)")),
    }
    facts |= {"cap_inheritable": number, "cap_permitted": 2 * number, "cap_effective": 3 * number}
    world.tell(name, tid, res=result, tid=tid, pid=process.pid, ptid=thread.ptid, **facts)


def leave(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """The end of a thread; the kernel names the reaper, or its probe cannot."""
    if thread.tid == 1:
        return
    heirs = [tid for tid in (1, thread.ptid) if tid in world.oracle.threads and tid != thread.tid]
    heirs = [tid for tid in heirs if world.oracle.threads[tid].process and not world.oracle.threads[tid].dead]
    mates = [mate.tid for mate in world.oracle.alive(process) if mate is not thread]
    reaper = picks.of((*((0, None, -1) if world.heir_is_certain(thread) else ()), *(mates or heirs)))
    world.tell("procexit", thread.tid, status=0, ret=0, sig=0, core=0, reaper_tid=reaper)
    # A thread that has exited makes no more late exits of its own.
    world.delayed = [delayed for delayed in world.delayed if delayed.tid != thread.tid]


def prctl(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    # That the first process of a namespace is no reaper any more cannot be.
    options = (15, 15, 16, 37) if thread.vpid == 1 or process.pid == 1 else (15, 36, 36, 37, 16)
    text = picks.of(("n", "a name of more than fifteen", ""))
    params = {"option": picks.of(options), "arg2_str": text, "arg2_int": picks.of((1, 0))}
    world.tell("prctl", thread.tid, res=picks.result(), **params)


def session(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """setsid and setpgid; what group another namespace sees is left open."""
    if picks.odd(3):
        world.tell("setsid", thread.tid, res=picks.result(thread.vpid))
    elif thread.tid != thread.vtid:
        world.tell("setpgid", thread.tid, res=picks.result(), pid=0, pgid=0)
    else:
        flat = [t.tid for t in world.able() if t.process and t.tid == t.vtid and t.tid == t.process.pid]
        pid, group = picks.of((0, *flat)), picks.of((0, *flat))
        if pid == 0 or world.oracle.threads[pid].process is not None:
            world.tell("setpgid", thread.tid, res=picks.result(), pid=pid, pgid=group)


def identity(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    name = picks.of(
        ("setuid", "setgid", "setresuid", "setresgid", "setreuid", "setregid", "capset", "unshare", "setns")
    )
    values = [picks.of((0, 3, KEPT, None)) for _ in range(3)]
    names = [param[0] for param in EVENTS[name][6]][1:]
    params = dict(zip(names, values, strict=False))
    if name == "capset":
        params = dict(zip(names, (1, 6, 2), strict=True))
    if name in ("unshare", "setns"):
        # setns without a type goes by the name of its descriptor, here of something unknown.
        kind = picks.of((NEWUSER, 0))
        params = {"flags": kind} if name == "unshare" else {"fd": 50, "nstype": kind}
    world.tell(name, thread.tid, res=picks.result(), **params)


def place(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """chdir and its like. Relative roots and directories without a known name are left out."""
    name = picks.of(("chdir", "fchdir", "getcwd", "chroot", "setrlimit", "prlimit"))
    result = picks.result()
    if name == "fchdir":
        known = [number for number, fd in sorted(process.fds.items()) if fd.type == "directory"]
        known = [number for number in known if process.fds[number].name.startswith("/")]
        if known:
            world.tell(name, thread.tid, res=result, fd=picks.of(known))
    elif name == "prlimit":
        # What the caller calls it, which within a namespace is another number.
        others = TIDS if thread.tid == thread.vtid else ()
        params = {
            "newcur": picks.of((32, -1)),
            "oldcur": 16,
            "pid": picks.of((0, *others)),
            "resource": picks.of((7, 3)),
        }
        world.tell(name, thread.tid, res=result, newmax=64, oldmax=64, **params)
    elif name == "setrlimit":
        limit, resource = picks.of((64, 4096)), picks.of((7, 7, 3))
        world.tell(name, thread.tid, res=result, cur=limit, max=limit, resource=resource)
    else:
        path = picks.of([path for path in PATHS if path.startswith("/") or name == "chdir"])
        world.tell(name, thread.tid, res=result, path=path)


ACTS: dict[str, Act] = {
    "clone": clone,
    "clone again": clone,
    "execute": execute,
    "identity": identity,
    "leave": leave,
    "place": place,
    "prctl": prctl,
    "session": session,
    "stranger": stranger,
    "wait": wait,
}
