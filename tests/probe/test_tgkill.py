import os
import threading

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("tgkill", 2**22 + 4, 2**22 + 5, 9)
    assert result < 0
    assert params == {"res": result, "pid": 2**22 + 4, "tid": 2**22 + 5, "sig": 9}


def test_a_thread_that_is_there(trace: Tracer) -> None:
    result, params = trace.call("tgkill", os.getpid(), threading.get_native_id(), 0)
    assert result == 0
    assert params == {"res": 0, "pid": os.getpid(), "tid": threading.get_native_id(), "sig": 0}
