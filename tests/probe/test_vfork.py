import os
import subprocess

import pytest

from .conftest import Tracer
from .test_clone import check

pytestmark = pytest.mark.bpf


def test_parent_and_child(trace: Tracer) -> None:
    events = trace.everything(lambda: subprocess.run(["/bin/true"], check=True))
    sides = [e["params"] for e in events if e["name"] == "vfork"]
    (parent,) = [e for e in sides if e["res"] > 0 and e["pid"] == os.getpid()]
    (child,) = [e for e in sides if e["res"] == 0 and e["ptid"] == os.getpid()]
    check(parent, child, parent["res"], 32768 | 134217728)  # CLONE_VM|CLONE_VFORK
