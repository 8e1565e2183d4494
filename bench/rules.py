"""What rules cost: decode and state of an amplified recording with no rules, the shipped ones, Falco's files where they are
beside the project, and synthetic sets of a thousand and ten thousand; processor time on one core, best of some rounds.

The synthetic rules are as rules of a large team are: many share macros, lists and exceptions, each asks for a path, a
program or a peer of its own.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import recording

from tiercel._engine import Host, RuleSet, decode_raw
from tiercel.rules.load import library, load

PUBLIC = Path(__file__).parent.parent.parent / "shared" / "falco-rules"
STABLE = [PUBLIC / "falco_rules.yaml"]
ALL = [*STABLE, PUBLIC / "falco-incubating_rules.yaml", PUBLIC / "falco-sandbox_rules.yaml"]

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


def loaded(files: list[Path]) -> tuple[RuleSet, float]:
    """A rule set and the seconds that it took to make it of its files."""
    begun = time.perf_counter()
    rules = RuleSet(load(files).check().plan(matching="first"))
    return rules, time.perf_counter() - begun


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
    options = parser.parse_args()
    original = recording.read(recording.plain(options.capture))
    bodies: list[bytes] = []
    events = 0
    for batches in recording.amplified(original, options.events):
        bodies += recording.raw(batches, events + 1)
        events += sum(map(len, batches))
    report: dict[str, object] = {"recording": options.capture.name, "events": events}
    with tempfile.TemporaryDirectory() as directory:
        sets: dict[str, list[Path]] = {"the shipped rules": [Path(path) for path in library()]}
        if PUBLIC.exists():
            sets |= {"Falco's stable file": STABLE, "Falco's three files": ALL}
        for count in (1_000, 10_000):
            file = Path(directory) / f"{count}.yaml"
            file.write_text(synthetic(count))
            sets[f"{count} synthetic rules"] = [file]
        made = {name: loaded(files) for name, files in sets.items()}
        # Rounds of all sets by turns: what disturbs the machine disturbs them alike.
        best: dict[str, float] = {}
        for _ in range(options.rounds):
            for name, rules in {"no rules": None, **{name: rules for name, (rules, _) in made.items()}}.items():
                best[name] = min(best.get(name, float("inf")), seconds(bodies, rules))
    for name, spent in best.items():
        report[f"{name}: ns/event"] = round(spent / events * 1e9, 1)
        report[f"{name}: M events/s/core"] = round(events / spent / 1e6, 2)
        if name in made:
            report[f"{name}: % more than none"] = round((spent / best["no rules"] - 1) * 100, 1)
            report[f"{name}: how many"] = len(made[name][0].names)
            report[f"{name}: ms to load"] = round(made[name][1] * 1e3)
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
