import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("copy_file_range", 9977, 0, 9978, 0, 9, 0)
    assert result < 0
    assert params == {"res": result, "fdout": 9978, "offout": 0, "fdin": 9977, "offin": 0, "len": 9}
