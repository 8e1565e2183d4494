from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchown", 9977, 5, 6)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "uid": 5, "gid": 6}


def test_another_owner(trace: Tracer, tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as file:
        result, params = trace.call("fchown", file.fileno(), 1001, 1002)
        assert result == 0
        assert params == {"res": 0, "fd": file.fileno(), "uid": 1001, "gid": 1002}
