import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setsockopt", 9977, 1, 2, 0, 0)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "level": 1, "optname": 2, "val": (0, None), "optlen": 0}
