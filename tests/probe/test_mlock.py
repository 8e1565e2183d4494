import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mlock", 0x1000, 4096)
    assert result < 0
    assert params == {"res": result, "addr": 0x1000, "len": 4096}
