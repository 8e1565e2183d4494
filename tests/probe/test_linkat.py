import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("linkat", 9977, b"a", 9978, b"b", 0x400)
    assert result < 0
    assert params == {"res": result, "olddir": 9977, "oldpath": "a", "newdir": 9978, "newpath": "b", "flags": 0x400}
