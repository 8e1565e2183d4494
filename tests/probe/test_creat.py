import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("creat", b"/nonexistent/a", 0o640)
    assert result < 0
    assert params == {"fd": result, "name": "/nonexistent/a", "mode": 0o640, "dev": 0, "ino": 0, "creat_flags": 0}
