import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("finit_module", 9977, b"key=1", 2)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "uargs": "key=1", "flags": 2}
