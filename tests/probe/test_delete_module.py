import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("delete_module", b"no_such", 0o4000)
    assert result < 0
    assert params == {"res": result, "name": "no_such", "flags": 2}
