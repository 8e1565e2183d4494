import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("ioctl", 9977, 0x5401, 3)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "request": 0x5401, "argument": 3}
