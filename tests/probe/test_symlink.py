import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("symlink", b"goal", b"/nonexistent/b")
    assert result < 0
    assert params == {"res": result, "target": "goal", "linkpath": "/nonexistent/b"}
