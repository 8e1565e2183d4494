import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("bpf", 999, 0, 0)
    assert result < 0
    assert params == {"fd": result, "cmd": 999}
