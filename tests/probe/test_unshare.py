import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("unshare", 0x100000000)
    assert result < 0
    assert params == {"res": result, "flags": 0}
