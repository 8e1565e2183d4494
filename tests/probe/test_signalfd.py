import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("signalfd", 9977, 8, 4)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "mask": 0, "flags": 0}
