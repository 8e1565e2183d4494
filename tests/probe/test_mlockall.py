import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mlockall", 0)
    assert result < 0
    assert params == {"res": result, "flags": 0}


def test_all_that_comes(trace: Tracer) -> None:
    result, params, _ = trace.in_child("mlockall", 2 | 4)
    assert result == 0
    assert params == {"res": 0, "flags": 2 | 4}
