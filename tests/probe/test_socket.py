import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("socket", 2, 0o2000001, 99)
    assert result < 0
    assert params == {"fd": result, "domain": 2, "type": 0o2000001, "proto": 99, "flags": 4096}


def test_a_socket(trace: Tracer) -> None:
    fd, params = trace.call("socket", 10, 2 | 0o2004000, 17)
    os.close(fd)
    assert params == {"fd": fd, "domain": 10, "type": 2 | 0o2004000, "proto": 17, "flags": 64 | 4096}
