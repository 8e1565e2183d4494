import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("init_module", b"\x7fELF", 4, b"key=1")
    assert result < 0
    assert params == {"res": result, "img": b"\x7fELF", "length": 4, "uargs": "key=1"}
