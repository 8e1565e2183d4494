import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pread64", 9977, 8, 9, 3, event="pread")
    assert result < 0
    assert params == {"res": result, "data": None, "fd": 9977, "size": 9, "pos": 3}
