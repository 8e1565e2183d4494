import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fstat", 9977, 0)
    assert result < 0
    assert params == {"res": result, "fd": 9977}


def test_an_open_file(trace: Tracer) -> None:
    result, params = trace.call("fstat", 1, ctypes.create_string_buffer(256))
    assert result == 0
    assert params == {"res": 0, "fd": 1}
