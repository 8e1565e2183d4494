import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setns", 9977, 0x20000000)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "nstype": 64}


def test_the_own_namespace(trace: Tracer) -> None:
    fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    result, params, _ = trace.in_child("setns", fd, 0x04000000)
    os.close(fd)
    assert result == 0
    assert params == {"res": 0, "fd": fd, "nstype": 128}  # CLONE_NEWUTS
