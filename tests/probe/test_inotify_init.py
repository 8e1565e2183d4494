import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_an_instance(trace: Tracer) -> None:
    fd, params = trace.call("inotify_init")
    os.close(fd)
    assert params == {"res": fd, "flags": 0}
