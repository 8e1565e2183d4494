import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pidfd_getfd", 9977, 5, 0)
    assert result < 0
    assert params == {"fd": result, "pid_fd": 9977, "target_fd": 5, "flags": 0}
