import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("unlinkat", 9977, b"a", 0x200)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "name": "a", "flags": 0x200}
