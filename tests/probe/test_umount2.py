from pathlib import Path

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("umount2", b"/nonexistent/a", 2)
    assert result < 0
    assert params == {"res": result, "name": "/nonexistent/a", "flags": 2}


def test_a_file_system_in_a_namespace_of_its_own(trace: Tracer, tmp_path: Path) -> None:
    def mounted() -> None:
        syscall("unshare", 0x20000)  # CLONE_NEWNS
        syscall("mount", b"none", b"/", 0, 0x44000, 0)  # MS_REC|MS_PRIVATE
        syscall("mount", b"here", bytes(tmp_path), b"tmpfs", 0, 0)

    result, params, _ = trace.in_child("umount2", bytes(tmp_path), 2 | 8, before=mounted)
    assert result == 0
    assert params == {"res": 0, "name": str(tmp_path), "flags": 2 | 8}
