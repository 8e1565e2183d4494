from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchmod", 9977, 0o640)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "mode": 0o640}


def test_a_changed_mode(trace: Tracer, tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as file:
        result, params = trace.call("fchmod", file.fileno(), 0o6644)
        assert result == 0
        assert params == {"res": 0, "fd": file.fileno(), "mode": 0o6644}
