import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_session_of_its_own(trace: Tracer) -> None:
    result, params, pid = trace.in_child("setsid")
    assert result == pid
    assert params == {"res": pid}


def test_a_leader_cannot(trace: Tracer) -> None:
    result, params, _ = trace.in_child("setsid", before=os.setsid)
    assert result == -1
    assert params == {"res": -1}
