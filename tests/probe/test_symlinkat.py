import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("symlinkat", b"goal", 9978, b"b")
    assert result < 0
    assert params == {"res": result, "target": "goal", "linkdirfd": 9978, "linkpath": "b"}
