import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fcntl", 9977, 1030, 9)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "cmd": 26, "arg": 9}
