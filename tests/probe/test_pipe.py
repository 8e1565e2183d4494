import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pipe", 8)
    assert result < 0
    assert params == {"res": result, "fd1": -1, "fd2": -1, "ino": 0}
