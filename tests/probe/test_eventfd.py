import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_counter(trace: Tracer) -> None:
    fd, params = trace.call("eventfd", 2**32 - 1)
    os.close(fd)
    assert params == {"res": fd, "initval": 2**32 - 1, "flags": 0}
