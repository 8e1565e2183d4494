import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("open", b"/nonexistent/a", 0o2000001, 0)
    assert result < 0
    assert params == {"fd": result, "name": "/nonexistent/a", "flags": 4098, "mode": 0, "dev": 0, "ino": 0}
