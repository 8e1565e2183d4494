import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("access", b"/nonexistent/a", 4)
    assert result < 0
    assert params == {"res": result, "name": "/nonexistent/a", "mode": 4}
