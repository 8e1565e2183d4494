import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("signalfd4", 9977, 8, 4, 0o4000)
    assert result < 0
    assert params == {"res": result, "flags": 64, "fd": 9977, "mask": 0}
