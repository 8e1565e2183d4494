import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setgid", 2**32 - 1)
    assert result < 0
    assert params == {"res": result, "gid": 2**32 - 1}


def test_another_id(trace: Tracer) -> None:
    result, params, _ = trace.in_child("setgid", 1001)
    assert result == 0
    assert params == {"res": 0, "gid": 1001}
