import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setresuid", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    assert result == 0
    assert params == {"res": result, "ruid": 2**32 - 1, "euid": 2**32 - 1, "suid": 2**32 - 1}
