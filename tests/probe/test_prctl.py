import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("prctl", 36, 0, 0, 0, 0)
    assert result == 0
    assert params == {"res": result, "option": 36, "arg2_str": None, "arg2_int": 0}
