import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pidfd_open", 2**22 + 5, 0)
    assert result < 0
    assert params == {"fd": result, "pid": 2**22 + 5, "flags": 0}


def test_a_process(trace: Tracer) -> None:
    fd, params = trace.call("pidfd_open", os.getpid(), 0o4000)
    os.close(fd)
    assert params == {"fd": fd, "pid": os.getpid(), "flags": 1}
