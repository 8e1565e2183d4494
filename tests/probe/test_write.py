import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("write", 9977, b"hello", 5)
    assert result < 0
    assert params == {"res": result, "data": b"hello", "fd": 9977, "size": 5}


def test_data_of_a_pipe(trace: Tracer) -> None:
    out, into = os.pipe()
    result, params = trace.call("write", into, bytes(range(100)), 100)
    os.close(out)
    os.close(into)
    assert result == 100
    assert params == {"res": 100, "data": bytes(range(80)), "fd": into, "size": 100}
