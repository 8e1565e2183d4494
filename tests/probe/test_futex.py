import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("futex", 8, 129, 3)
    assert result == 0
    assert params == {"res": result, "addr": 8, "op": 129, "val": 3}
