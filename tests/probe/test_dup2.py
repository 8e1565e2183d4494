import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("dup2", 9977, 5)
    assert result < 0
    assert params == {"res": result, "oldfd": 9977, "newfd": 5}


def test_a_copy(trace: Tracer) -> None:
    result, params = trace.call("dup2", 1, 701)
    os.close(701)
    assert result == 701
    assert params == {"res": 701, "oldfd": 1, "newfd": 701}
