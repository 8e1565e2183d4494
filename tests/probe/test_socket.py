import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("socket", 2, 0o2000001, 99)
    assert result < 0
    assert params == {"fd": result, "domain": 2, "type": 0o2000001, "proto": 99, "flags": 4096}
