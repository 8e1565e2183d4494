import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mlock2", 0, 4096, 9)
    assert result < 0
    assert params == {"res": result, "addr": 0, "len": 4096, "flags": 9}
