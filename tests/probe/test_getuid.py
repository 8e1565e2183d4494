import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_an_id(trace: Tracer) -> None:
    result, params, _ = trace.in_child("getuid", before=lambda: os.setresuid(1001, 1002, 0))
    assert result == 1001
    assert params == {"uid": 1001}
