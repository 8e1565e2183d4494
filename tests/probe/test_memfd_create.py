import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("memfd_create", b"name", 0x100)
    assert result < 0
    assert params == {"fd": result, "name": "name", "flags": 0x100}
