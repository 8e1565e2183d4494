"""Hosts with many live threads, ten descriptors each: bytes of memory, time of an event, size and time of saving.

Every thread in turn opens, reads and closes, so that each event meets a thread that no cache holds any more.
"""

import argparse
import time

import recording

from tiercel._engine import Batch, Host, decode_raw, encode_raw

THREADS = (100, 10_000, 100_000)
FDS = 10
ROUND = 100_000
NONE = [0] * 23


def told(threads: int, fds: int) -> Batch:
    """What a host with so many processes tells about them."""
    batch = Batch()
    for tid in range(10, 10 + threads):
        texts = [f"worker-{tid % 50}", f"worker-{tid % 50}", f"/usr/lib/app/worker-{tid % 50}"]
        lists = [f"--id={tid}\0--verbose\0".encode(), b"HOME=/srv\0PATH=/usr/bin\0"]
        places = ["/srv", "/", b"cpu=/system.slice\0"]
        parent = 0 if tid == 10 else 10
        params = [tid, parent, tid, tid, tid, tid, tid, *texts, *lists, *places, 1024, 1000, 1000, 1000, *NONE]
        batch.append("thread_snapshot", time=1, tid=tid, params=params[:35])
        for fd in range(fds):
            name = f"/var/lib/app/{tid}/data-{fd}.db"
            batch.append("fd_snapshot", time=1, tid=tid, params=[fd, 1, name, 0, 8, tid * fds + fd, 0, None, None])
    return batch


def play(host: Host, batch: Batch) -> None:
    """Let the batch change the host."""
    for body in recording.raw([batch]):
        header, decoded = decode_raw(body)
        host.replay(decoded, None, header=header)


def acts(threads: int) -> list[bytes]:
    """A round of events as raw batches."""
    bodies, batch = [], Batch()
    for number in range(ROUND // 3):
        tid, now = 10 + number * 7919 % threads, 10**9 + number
        batch.append("openat", time=now, tid=tid, params=[50, -100, "/etc/hosts", 1, 0, 8, 99])
        batch.append("read", time=now, tid=tid, params=[64, b"127.0.0.1 localhost", 50, 4096])
        batch.append("close", time=now, tid=tid, params=[0, 50])
        if len(batch) >= recording.BATCH:
            bodies.append(encode_raw(batch, 0, len(batch), recording.HEADER | {"first_seq": 1}))
            batch = Batch()
    return bodies


def speed(host: Host, bodies: list[bytes], rounds: int) -> float:
    """Million events a second of processor time through decode and state, the best of some rounds."""
    best, events = float("inf"), 0
    for _ in range(rounds):
        begun, events = time.process_time(), 0
        for body in bodies:
            header, batch = decode_raw(body)
            host.replay(batch, None, header=header)
            events += len(batch)
        best = min(best, time.process_time() - begun)
    return events / best / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    report: dict[str, object] = {}
    for threads in THREADS:
        bare, host = Host(), Host()
        play(bare, told(threads, 0))
        play(host, told(threads, FDS))
        alone, full = bare.counters["bytes"], host.counters["bytes"]
        report[f"{threads} threads: decode + state, M events/s/core"] = round(
            speed(host, acts(threads), options.rounds), 2
        )
        report[f"{threads} threads: bytes of memory a thread"] = round(alone / threads)
        report[f"{threads} threads: bytes of memory a descriptor"] = round((full - alone) / threads / FDS)
        begun = time.perf_counter()
        saved = host.save()
        took = time.perf_counter() - begun
        begun = time.perf_counter()
        Host().load(saved)
        report[f"{threads} threads: MB saved"] = round(len(saved) / 1e6, 2)
        report[f"{threads} threads: ms to save"] = round(took * 1e3, 1)
        report[f"{threads} threads: ms to load"] = round((time.perf_counter() - begun) * 1e3, 1)
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
