from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("lchown", b"/nonexistent/a", 5, 6)
    assert result < 0
    assert params == {"res": result, "path": "/nonexistent/a", "uid": 5, "gid": 6}


def test_another_owner(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("lchown", bytes(tmp_path), 1001, 2**32 - 1)
    assert result == 0
    assert params == {"res": 0, "path": str(tmp_path), "uid": 1001, "gid": 2**32 - 1}
    assert tmp_path.stat().st_uid == 1001
