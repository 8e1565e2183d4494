from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("lseek", 9977, 9, 2)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "offset": 9, "whence": 2}


def test_a_position(trace: Tracer, tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as file:
        result, params = trace.call("lseek", file.fileno(), 2**40, 1)
        assert result == 2**40
        assert params == {"res": 2**40, "fd": file.fileno(), "offset": 2**40, "whence": 1}
