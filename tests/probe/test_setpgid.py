import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setpgid", 2**22 + 5, 1)
    assert result < 0
    assert params == {"res": result, "pid": 2**22 + 5, "pgid": 1}


def test_a_group_of_its_own(trace: Tracer) -> None:
    result, params, _ = trace.in_child("setpgid", 0, 0)
    assert result == 0
    assert params == {"res": 0, "pid": 0, "pgid": 0}
