"""What the kernel counted for a collector that is gone: its counters stay pinned when it was killed."""

import ctypes
import os
import time
from pathlib import Path

from tiercel.probe import libbpf
from tiercel.probe.core import PIN_FOLDER, PerCpu

# The probe is loaded a moment before its run begins: counters pinned at another time are another's.
_LOADED_BEFORE_S = 60.0


class Pinned:
    """Counters as they lie there now; to be read before the next probe takes their place."""

    def __init__(self) -> None:
        self._produced, self._at = 0, 0.0
        try:
            path = PIN_FOLDER / "counters"
            since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.time()
            self._at = path.stat().st_mtime + since_boot
            values = (PerCpu * libbpf.call("libbpf_num_possible_cpus"))()
            fd = libbpf.call("bpf_obj_get", os.fsencode(path))
            try:
                if _value_size(fd) != ctypes.sizeof(PerCpu):
                    return  # of another version
                libbpf.call("bpf_map_lookup_elem", fd, ctypes.byref(ctypes.c_uint32(0)), values)
            finally:
                os.close(fd)
            self._produced = sum(value.counters.produced for value in values)
        except OSError:
            self._produced = 0

    def produced(self, run: int) -> int:
        """Events that the kernel produced for a run of this boot; 0: these counters are another's, or gone."""
        begun = run / 1e7
        return self._produced if self._at - 1.0 <= begun <= self._at + _LOADED_BEFORE_S else 0


def _value_size(fd: int) -> int:
    """Bytes of a map's value."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("value_size:")), 0)
