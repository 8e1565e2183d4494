import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("eventfd2", 7, 2)
    assert result < 0
    assert params == {"res": result, "flags": 0, "initval": 7}
