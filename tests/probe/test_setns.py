import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setns", 9977, 0x20000000)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "nstype": 64}
