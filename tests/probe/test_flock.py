from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("flock", 9977, 6)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "operation": 6}


def test_a_lock(trace: Tracer, tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as file:
        result, params = trace.call("flock", file.fileno(), 5)
        assert result == 0
        assert params == {"res": 0, "fd": file.fileno(), "operation": 1 | 4}
