import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("socketpair", 2, 1, 0, 0)
    assert result < 0
    assert params == {"res": result, "fd1": -1, "fd2": -1, "source": 0, "peer": 0, "domain": 2, "type": 1, "proto": 0}
