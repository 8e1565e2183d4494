"""Whose events a collector sends."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """`run` is the first number of a run of the collector."""

    host_id: str
    host: str
    boot_id: str
    run: int

    @classmethod
    def of_this_host(cls, host_id: str, host: str) -> "Identity":
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return cls(host_id, host, boot, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 100)
