"""Records src/tiercel/testing/demo.scap.gz: a short session of a root shell, seen by our own probe. Needs root and BTF.

Among ordinary commands it does what the shipped rules are there for. The session has a network of its own, in which the
remote address is a documentation address; of the host, only the session's own processes are kept, without environments.
"""

import gzip
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tiercel._engine import Batch
from tiercel.collector.live import LiveSource
from tiercel.probe.core import Probe
from tiercel.schemas import tables
from tiercel.testing.capture import Machine, Row, capture

EVENTS = {event.code: event for event in tables.events()}
OUT = Path(__file__).parent.parent / "src/tiercel/testing/demo.scap.gz"
REMOTE = "203.0.113.10"
MOST_BYTES = 200_000
ADDRESSES = (("127.0.0.1", "255.0.0.0"), ("192.0.2.10", "255.255.255.255"))
USERS = {"root", "daemon", "nobody", "www-data"}
PRIVATE = {"env", "cgroups"}
CLONES = {"clone", "clone3", "fork", "vfork"}

PREPARE = f"""
ip link set lo up
ip addr add 192.0.2.10/32 dev lo
ip route add local {REMOTE} dev lo src 192.0.2.10 table local
/usr/bin/python3 -c 'import socket
s = socket.create_server(("{REMOTE}", 4444))
while True: s.accept()[0].close()' >/dev/null &
mkdir -p /opt/demo && cp /bin/dash /opt/demo/nginx
sleep 1
echo $$ $!
exec -a -bash bash --noprofile --norc
"""

SESSION = f"""
cd /root
ls -l /etc/ssl
python3 -c 'print(sum(range(10)))'
find /etc/apt -name '*.list'
id
cat /etc/shadow > /dev/null
/opt/demo/nginx -c 'sh -c id; true'
cp /bin/true /usr/local/bin/demo-tool
/usr/local/bin/demo-tool
rm /usr/local/bin/demo-tool
bash -c 'exec 3<>/dev/tcp/{REMOTE}/4444; read -t 1 line <&3; true'
cp /bin/true /dev/shm/demo-stage
/dev/shm/demo-stage
rm /dev/shm/demo-stage
head -2 /etc/passwd | sort | wc -l
uname -r
exit
"""


def main() -> None:
    """Start the session, record it, keep what is its own, and write the capture."""
    command = ["setsid", "--fork", "unshare", "--net", "bash", "-c", PREPARE]
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    pipe = subprocess.PIPE
    # Through setsid the session's shell is a child of init, not of this script.
    with subprocess.Popen(
        command, cwd="/root", env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        shell, server = map(int, session.stdout.readline().split())
        time.sleep(0.5)
        try:
            seen = record(lambda: session.communicate(SESSION, timeout=60))
        finally:
            os.kill(server, signal.SIGTERM)
            shutil.rmtree("/opt/demo", ignore_errors=True)
    kept = cut(seen, {shell, server})
    boot = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    machine = Machine("demo", os.cpu_count() or 1, boot_time=boot // 10**9 * 10**9)
    data = gzip.compress(capture(kept, machine), mtime=0)
    assert len(data) <= MOST_BYTES, len(data)
    OUT.write_bytes(data)
    print(f"{OUT.name}: {kept.kernel_events} events, {len(data)} bytes")


def record(act: Callable[[], object]) -> Batch:
    """The state of the host, and all that happens on it during the act."""
    batch = Batch()
    source = LiveSource(Probe.load(exclude_tgids=[os.getpid()]))
    try:
        source.snapshot(batch)
        act()
        source.stop()
        while source.read(batch, 10_000) or not source.finished():
            pass
        assert not sum(count for _, _, count in source.losses()), source.losses()
    finally:
        source.close()
    return batch


def cut(seen: Batch, threads: set[int]) -> Batch:
    """What these threads and their descendants are and did, without what is private."""
    kept = Batch()
    for address, mask in ADDRESSES:
        kept.append("interface_snapshot", time=0, tid=-1, params=["lo", packed(address), packed(mask), bytes(4)])
    rows = seen.encoded()
    threads = family(rows, threads)
    for index, (code, at, tid, cpu, params) in enumerate(rows):
        event = EVENTS[code]
        if event.name in {"useradded", "groupadded"}:
            name = params[2 if event.name == "useradded" else 1]
            if name.removesuffix(b"\0").decode() in USERS:
                kept.extend(seen, index, index + 1)
        elif tid in threads:
            names = [param.name for param in event.params]
            values = [b"" if name in PRIVATE else value for name, value in zip(names, params, strict=False)]
            kept.append(event.name, time=at, tid=tid, cpu=cpu, params=as_given(event, values))
    return kept


def family(rows: list[Row], threads: set[int]) -> set[int]:
    """The threads and their descendants. Children of vfork act before their parents return with their numbers."""
    results = [(tid, params[0]) for code, _, tid, _, params in rows if EVENTS[code].name in CLONES]
    children = [(tid, int.from_bytes(result, "little", signed=True)) for tid, result in results]
    while more := {child for tid, child in children if tid in threads and child > 0} - threads:
        threads = threads | more
    return threads


def as_given(event: tables.Event, params: list[bytes]) -> list[bytes | None]:
    """As `Batch.append` takes them: texts without their NUL."""
    texts = {"charbuf", "fspath", "fsrelpath"}
    return [
        None if not value else value.removesuffix(b"\0") if param.type in texts else value
        for param, value in zip(event.params, params, strict=False)
    ]


def packed(address: str) -> bytes:
    """In network order."""
    return socket.inet_aton(address)


if __name__ == "__main__":
    main()
