import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("sendfile", 9977, 9978, 0, 9)
    assert result < 0
    assert params == {"res": result, "offset": 0, "out_fd": 9977, "in_fd": 9978, "size": 9}
