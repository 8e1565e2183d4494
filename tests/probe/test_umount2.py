import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("umount2", b"/nonexistent/a", 2)
    assert result < 0
    assert params == {"res": result, "name": "/nonexistent/a", "flags": 2}
