import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("futex", 8, 129, 3)
    assert result == 0
    assert params == {"res": result, "addr": 8, "op": 129, "val": 3}


def test_a_value_that_is_another(trace: Tracer) -> None:
    word = ctypes.c_uint32(7)
    result, params = trace.call("futex", ctypes.byref(word), 0, 2**32 - 1, 0)
    assert result == -11
    assert params == {"res": -11, "addr": ctypes.addressof(word), "op": 0, "val": 2**32 - 1}
