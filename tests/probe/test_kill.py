import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("kill", 2**22 + 5, 9)
    assert result < 0
    assert params == {"res": result, "pid": 2**22 + 5, "sig": 9}


def test_a_group_that_is_there(trace: Tracer) -> None:
    result, params = trace.call("kill", -os.getpgrp(), 0)
    assert result == 0
    assert params == {"res": 0, "pid": -os.getpgrp(), "sig": 0}
