import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchmodat", 9977, b"a", 0o640)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "filename": "a", "mode": 0o640}
