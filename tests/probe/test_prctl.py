import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("prctl", 36, 0, 0, 0, 0)
    assert result == 0
    assert params == {"res": result, "option": 36, "arg2_str": None, "arg2_int": 0}


def test_a_name(trace: Tracer) -> None:
    result, params, _ = trace.in_child("prctl", 15, b"a name of a thread", 0, 0, 0)
    assert result == 0
    assert params == {"res": 0, "option": 15, "arg2_str": "a name of a thread", "arg2_int": 0}


def test_a_reaper(trace: Tracer) -> None:
    result, params, _ = trace.in_child("prctl", 36, 1, 0, 0, 0)
    assert result == 0
    assert params == {"res": 0, "option": 36, "arg2_str": None, "arg2_int": 1}
    reaper = ctypes.byref(ctypes.c_int32(9))
    result, params, _ = trace.in_child("prctl", 37, reaper, 0, 0, 0)
    assert result == 0
    assert params == {"res": 0, "option": 37, "arg2_str": None, "arg2_int": 0}


def test_a_failed_one(trace: Tracer) -> None:
    result, params = trace.call("prctl", 4, 77, 0, 0, 0)
    assert result == -22
    assert params == {"res": -22, "option": 4, "arg2_str": None, "arg2_int": 77}
