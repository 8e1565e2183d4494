from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("symlinkat", b"goal", 9978, b"b")
    assert result < 0
    assert params == {"res": result, "target": "goal", "linkdirfd": 9978, "linkpath": "b"}


def test_a_link(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("symlinkat", b"goal", -100, bytes(tmp_path / "l"))
    assert result == 0
    assert params == {"res": 0, "target": "goal", "linkdirfd": -100, "linkpath": str(tmp_path / "l")}
