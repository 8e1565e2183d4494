import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("seccomp", 99, 1, 0)
    assert result < 0
    assert params == {"res": result, "op": 99, "flags": 1}
