import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pidfd_getfd", 9977, 5, 0)
    assert result < 0
    assert params == {"fd": result, "pid_fd": 9977, "target_fd": 5, "flags": 0}


def test_a_descriptor_of_a_process(trace: Tracer) -> None:
    pidfd = os.pidfd_open(os.getpid())
    fd, params = trace.call("pidfd_getfd", pidfd, 1, 0)
    os.close(fd)
    os.close(pidfd)
    assert params == {"fd": fd, "pid_fd": pidfd, "target_fd": 1, "flags": 0}
