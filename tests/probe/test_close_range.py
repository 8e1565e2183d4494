import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("close_range", 10, 5, 4)
    assert result < 0
    assert params == {"res": result, "first": 10, "last": 5, "flags": 4}


def test_descriptors_in_a_range(trace: Tracer) -> None:
    result, params, _ = trace.in_child("close_range", 700, 2**32 - 1, 2, before=lambda: os.dup2(1, 701))
    assert result == 0
    assert params == {"res": 0, "first": 700, "last": 2**32 - 1, "flags": 2}


def test_flags_that_captures_do_not_know(trace: Tracer) -> None:
    result, params = trace.call("close_range", 700, 701, 8)
    assert result == -22
    assert params == {"res": -22, "first": 700, "last": 701, "flags": 0}
