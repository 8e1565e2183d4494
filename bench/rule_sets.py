"""What rules cost: decode and state of an amplified recording with no rules, five, all the shipped ones, Falco's files where
they are beside the project, and synthetic sets of a thousand and ten thousand; processor time on one core, best of some
rounds. Beside it, in the same run, `sysdig -r` with a filter of twenty-five comparisons, where there is a capture that it can
read.

The synthetic rules are as rules of a large team are: many share macros, lists and exceptions, each asks for a path, a
program or a peer of its own.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import peer_sysdig
import recording

from tiercel._engine import Host, RuleSet, decode_raw
from tiercel.config import RuleOptions
from tiercel.rules import sets
from tiercel.rules.load import library, load

PUBLIC = Path(__file__).parent.parent.parent / "shared" / "falco-rules"
STABLE = [PUBLIC / "falco_rules.yaml"]
ALL = [*STABLE, PUBLIC / "falco-incubating_rules.yaml", PUBLIC / "falco-sandbox_rules.yaml"]

FIVE = (
    "Sensitive file read by an untrusted program",
    "Shell spawned by a server process",
    "Write below a binary directory",
    "Outbound connection by a shell",
    "Execution from shared memory",
)
FILTER = (
    "((evt.type=open or evt.type=openat) and fd.typechar=f and fd.num>=0 and fd.name startswith /etc/shadow) "
    "or ((evt.type=open or evt.type=openat) and evt.is_open_write=true and fd.directory=/usr/bin and not proc.name=dpkg "
    "and not proc.name=apt) "
    "or (evt.type=execve and proc.name=sh and proc.pname=nginx and not proc.cmdline contains logrotate) "
    "or (evt.type=connect and fd.typechar=4 and fd.sport=4444 and proc.name=bash and not user.name=root) "
    "or (evt.type=ptrace and not proc.name=gdb and not proc.name=strace) or (evt.type=mount and proc.name=unshare)"
)

SHARED = """
- list: trusted
  items: [dpkg, apt, rpm, dnf, systemd, sshd, cron, containerd, runc, dockerd, kubelet]
- macro: opened
  condition: (evt.type in (open, openat, openat2) and fd.typechar = f and fd.num >= 0)
- macro: written
  condition: (opened and evt.is_open_write = true)
- macro: started
  condition: (evt.type in (execve, execveat) and evt.failed = false)
- macro: untrusted
  condition: (not proc.name in (trusted) and not proc.pname in (trusted))
"""
SHAPES = (
    "opened and fd.name startswith /srv/{n}/ and untrusted",
    "written and fd.directory = /etc/{n} and not proc.name in (trusted, tool{n})",
    "opened and fd.name in (/etc/app{n}/key, /etc/app{n}/token) and user.uid != 0",
    "started and proc.name = tool{n} and proc.pname in (nginx, httpd, java)",
    "started and proc.exepath startswith /opt/app{n}/ and untrusted",
    "evt.type = connect and fd.sport = {port} and proc.name in (bash, sh, tool{n})",
    "evt.type in (unlink, unlinkat) and proc.cwd startswith /srv/{n} and untrusted",
    "written and proc.name = tool{n} and container.id != host",
)


def synthetic(count: int) -> str:
    """A file of so many rules, always the same."""
    numbers = random.Random(count)

    def rules() -> Iterator[str]:
        for number in range(count):
            condition = numbers.choice(SHAPES).format(n=number, port=numbers.randrange(1, 65536))
            yield (
                f"- rule: r{number}\n  desc: d\n  condition: {condition}\n"
                f"  output: r{number} (file=%fd.name program=%proc.name)\n  priority: WARNING\n"
            )

    return SHARED + "".join(rules())


def five() -> RuleSet:
    """Five of the shipped rules: about opens, executions and connections."""
    chosen = [{"disable": {"rule": "*"}}, *({"enable": {"rule": name}} for name in FIVE)]
    return RuleSet(sets.plan(load(library()).check(), RuleOptions(select=chosen), throttled=False))


def loaded(files: list[Path]) -> tuple[RuleSet, float]:
    """A rule set and the seconds that it took to make it of its files: the best of three where that is soon done."""
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        rules = RuleSet(load(files).check().plan(matching="first"))
        best = min(best, time.perf_counter() - begun)
        if best > 1:
            break
    return rules, best


def peer(capture: Path, events: int) -> float | None:
    """Nanoseconds an event that `sysdig -r` takes with the filter; None if it cannot be asked."""
    if shutil.which("sysdig") is None or not capture.exists():
        return None
    amplified, count = peer_sysdig.amplified(recording.plain(capture), events)
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".scap") as file:
        file.write(amplified)
        file.flush()
        spent, _ = peer_sysdig.timed(["sysdig", "-r", file.name, FILTER], 3)
    return spent / count * 1e9


def seconds(bodies: list[bytes], rules: RuleSet | None) -> float:
    """Processor time for all of the bodies."""
    host, begun = Host(), time.process_time()
    for body in bodies:
        header, batch = decode_raw(body)
        host.replay(batch, rules, header=header)
    return time.process_time() - begun


def main() -> None:
    """Measure and print."""
    parser = recording.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--old-capture", type=Path, default=PUBLIC.parent / "captures" / "curl_google.scap")
    options = parser.parse_args()
    original = recording.read(recording.plain(options.capture))
    bodies: list[bytes] = []
    events = 0
    for batches in recording.amplified(original, options.events):
        bodies += recording.raw(batches, events + 1)
        events += sum(map(len, batches))
    report: dict[str, object] = {"recording": options.capture.name, "events": events}
    with tempfile.TemporaryDirectory() as directory:
        files: dict[str, list[Path]] = {"the shipped rules": [Path(path) for path in library()]}
        if PUBLIC.exists():
            files |= {"Falco's stable file": STABLE, "Falco's three files": ALL}
        for count in (1_000, 10_000):
            file = Path(directory) / f"{count}.yaml"
            file.write_text(synthetic(count))
            files[f"{count} synthetic rules"] = [file]
        made = {name: loaded(paths) for name, paths in files.items()}
        some = five()
        # Rounds of all sets by turns: what disturbs the machine disturbs them alike.
        best: dict[str, float] = {}
        for _ in range(options.rounds):
            candidates = {"no rules": None, "five rules": some, **{name: rules for name, (rules, _) in made.items()}}
            for name, rules in candidates.items():
                best[name] = min(best.get(name, float("inf")), seconds(bodies, rules))
    other = peer(options.old_capture, options.events)
    if other is not None:
        report["sysdig -r, 25 comparisons: ns/event"] = round(other)
        report["sysdig -r, 25 comparisons: M events/s"] = round(1e3 / other, 2)
    for name, spent in best.items():
        report[f"{name}: ns/event"] = round(spent / events * 1e9, 1)
        report[f"{name}: M events/s/core"] = round(events / spent / 1e6, 2)
        if name != "no rules":
            report[f"{name}: % more than none"] = round((spent / best["no rules"] - 1) * 100, 1)
        if name in made:
            report[f"{name}: how many"] = len(made[name][0].names)
            report[f"{name}: ms to load"] = round(made[name][1] * 1e3)
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
