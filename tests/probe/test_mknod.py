import stat
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mknod", b"/nonexistent/a", 0o10640, 0)
    assert result < 0
    assert params == {"res": result, "path": "/nonexistent/a", "mode": 0o10640, "dev": 0}


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFREG, stat.S_IFSOCK])
def test_a_node(trace: Tracer, tmp_path: Path, kind: int) -> None:
    device = 0x100712  # 7, 274: twelve bits of a minor number lie above the major
    result, params = trace.call("mknod", bytes(tmp_path / "n"), kind | 0o640, device)
    assert result == 0
    assert params == {"res": 0, "path": str(tmp_path / "n"), "mode": kind | 0o640, "dev": device}
    (tmp_path / "n").unlink()
