import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mknodat", 9977, b"a", 0o10640, 0)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "path": "a", "mode": 0o10640, "dev": 0}
