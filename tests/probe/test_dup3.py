import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("dup3", 9977, 5, 0o2000000)
    assert result < 0
    assert params == {"res": result, "oldfd": 9977, "newfd": 5, "flags": 4096}


def test_a_copy(trace: Tracer) -> None:
    result, params = trace.call("dup3", 1, 701, os.O_CLOEXEC)
    os.close(701)
    assert result == 701
    assert params == {"res": 701, "oldfd": 1, "newfd": 701, "flags": 4096}
