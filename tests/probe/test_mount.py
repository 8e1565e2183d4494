import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mount", b"/dev/x", b"/nonexistent/a", b"ext4", 0xC0ED0000 | 1, 0)
    assert result < 0
    assert params == {"res": result, "dev": "/dev/x", "dir": "/nonexistent/a", "type": "ext4", "flags": 1}
