import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("close_range", 10, 5, 4)
    assert result < 0
    assert params == {"res": result, "first": 10, "last": 5, "flags": 4}
