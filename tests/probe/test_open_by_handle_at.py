import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("open_by_handle_at", 9977, 8, 1)
    assert result < 0
    assert params == {"fd": result, "mountfd": 9977, "flags": 2, "path": None, "dev": 0, "ino": 0}
