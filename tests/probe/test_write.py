import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("write", 9977, b"hello", 5)
    assert result < 0
    assert params == {"res": result, "data": b"hello", "fd": 9977, "size": 5}
