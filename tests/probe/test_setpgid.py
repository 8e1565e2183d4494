import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setpgid", 2**22 + 5, 1)
    assert result < 0
    assert params == {"res": result, "pid": 2**22 + 5, "pgid": 1}
