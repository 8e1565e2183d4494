from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchownat", 9977, b"a", 5, 6, 0x100)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "pathname": "a", "uid": 5, "gid": 6, "flags": 1024}


def test_another_owner(trace: Tracer, tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as file:
        result, params = trace.call("fchownat", file.fileno(), b"", 1001, 1002, 0x1000)
        assert result == 0
        assert params == {"res": 0, "dirfd": file.fileno(), "pathname": "", "uid": 1001, "gid": 1002, "flags": 4096}
