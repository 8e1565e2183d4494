import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("close", 9977)
    assert result < 0
    assert params == {"res": result, "fd": 9977}


def test_an_open_descriptor(trace: Tracer) -> None:
    fd = os.dup(1)
    result, params = trace.call("close", fd)
    assert result == 0
    assert params == {"res": 0, "fd": fd}
