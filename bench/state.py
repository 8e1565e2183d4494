"""The engine on one core: raw batches of an amplified recording through decode, state and five rules, and the same
with the enriched batch written. Million events a second of processor time, best of some rounds.
"""

import time
from collections.abc import Callable

import recording
from rule_sets import five

from tiercel._engine import Host, RuleSet, decode_raw


def judged(bodies: list[bytes], rules: RuleSet | None) -> dict[str, int]:
    """Decode, state and rules; nothing is written but alerts."""
    host, alerts = Host(), 0
    for body in bodies:
        header, batch = decode_raw(body)
        alerts += len(host.replay(batch, rules, header=header))
    return {"alerts": alerts, **host.counters}


def enriched(bodies: list[bytes], rules: RuleSet | None) -> dict[str, int]:
    """What a worker does: the enriched batch is written too."""
    host, alerts = Host(), 0
    for offset, body in enumerate(bodies):
        alerts += len(host.process(body, rules, partition=0, offset=offset).alerts)
    return {"alerts": alerts, **host.counters}


def fastest(rounds: int, work: Callable[[], dict[str, int]]) -> tuple[float, dict[str, int]]:
    """Processor seconds of the best round, and what the work returned."""
    best, result = float("inf"), {}
    for _ in range(rounds):
        begun = time.process_time()
        result = work()
        best = min(best, time.process_time() - begun)
    return best, result


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
    rules = five()
    without, _ = fastest(options.rounds, lambda: judged(bodies, None))
    judging, result = fastest(options.rounds, lambda: judged(bodies, rules))
    writing, _ = fastest(options.rounds, lambda: enriched(bodies, rules))
    report = {
        "recording": options.capture.name,
        "events": events,
        "bytes/event as Avro": round(sum(map(len, bodies)) / events, 1),
        "compression of the original": round(recording.ratio(recording.raw(original)), 2),
        "compression amplified": round(recording.ratio(bodies), 2),
        "decode + state, M events/s/core": round(events / without / 1e6, 2),
        f"decode + state + {len(rules.names)} rules, M events/s/core": round(events / judging / 1e6, 2),
        "the same + enriched batch, M events/s/core": round(events / writing / 1e6, 2),
        **result,
    }
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
