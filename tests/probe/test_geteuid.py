import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_an_id(trace: Tracer) -> None:
    result, params, _ = trace.in_child("geteuid", before=lambda: os.setresuid(1001, 1002, 0))
    assert result == 1002
    assert params == {"euid": 1002}
