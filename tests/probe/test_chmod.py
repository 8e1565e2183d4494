import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("chmod", b"/nonexistent/a", 0o4755)
    assert result < 0
    assert params == {"res": result, "filename": "/nonexistent/a", "mode": 0o4755}
