import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("lseek", 9977, 9, 2)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "offset": 9, "whence": 2}
