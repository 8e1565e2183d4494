import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("renameat", 9977, b"a", 9978, b"b")
    assert result < 0
    assert params == {"res": result, "olddirfd": 9977, "oldpath": "a", "newdirfd": 9978, "newpath": "b"}
