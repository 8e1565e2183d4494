import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mprotect", 0x1001, 5, 5)
    assert result < 0
    assert params == {"res": result, "addr": 0x1001, "length": 5, "prot": 5}
