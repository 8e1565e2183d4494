from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchmodat", 9977, b"a", 0o640)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "filename": "a", "mode": 0o640}


def test_a_changed_mode(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("fchmodat", -100, bytes(tmp_path), 0o1700)
    assert result == 0
    assert params == {"res": 0, "dirfd": -100, "filename": str(tmp_path), "mode": 0o1700}
