import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setregid", 2**32 - 1, 2**32 - 1)
    assert result == 0
    assert params == {"res": result, "rgid": 2**32 - 1, "egid": 2**32 - 1}


def test_another_id(trace: Tracer) -> None:
    result, params, _ = trace.in_child("setregid", 1001, 1002)
    assert result == 0
    assert params == {"res": 0, "rgid": 1001, "egid": 1002}


def test_an_id_that_is_refused(trace: Tracer) -> None:
    result, params, _ = trace.in_child("setregid", 9, 9, before=lambda: os.setresuid(1001, 1001, 1001))
    assert result == -1
    assert params == {"res": -1, "rgid": 9, "egid": 9}
