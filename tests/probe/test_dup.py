import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("dup", 9977)
    assert result < 0
    assert params == {"res": result, "oldfd": 9977}


def test_a_copy(trace: Tracer) -> None:
    result, params = trace.call("dup", 1)
    os.close(result)
    assert params == {"res": result, "oldfd": 1}
