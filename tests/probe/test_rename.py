import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("rename", b"/nonexistent/a", b"/nonexistent/b")
    assert result < 0
    assert params == {"res": result, "oldpath": "/nonexistent/a", "newpath": "/nonexistent/b"}
