import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchownat", 9977, b"a", 5, 6, 0x100)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "pathname": "a", "uid": 5, "gid": 6, "flags": 1024}
