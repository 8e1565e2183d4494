import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("timerfd_create", 99, 0)
    assert result < 0
    assert params == {"res": result, "clockid": 99, "flags": 0}


def test_a_timer(trace: Tracer) -> None:
    for flags, told in ((os.O_CLOEXEC, 1), (os.O_NONBLOCK, 0)):
        fd, params = trace.call("timerfd_create", 1, flags)
        os.close(fd)
        assert params == {"res": fd, "clockid": 1, "flags": told}
