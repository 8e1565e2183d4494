from pathlib import Path

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mount", b"/dev/x", b"/nonexistent/a", b"ext4", 0xC0ED0000 | 1, 0)
    assert result < 0
    assert params == {"res": result, "dev": "/dev/x", "dir": "/nonexistent/a", "type": "ext4", "flags": 1}


def test_a_file_system_in_a_namespace_of_its_own(trace: Tracer, tmp_path: Path) -> None:
    def alone() -> None:
        syscall("unshare", 0x20000)  # CLONE_NEWNS
        syscall("mount", b"none", b"/", 0, 0x44000, 0)  # MS_REC|MS_PRIVATE

    flags = 0xC0ED0000 | 1 | 8
    result, params, _ = trace.in_child("mount", b"here", bytes(tmp_path), b"tmpfs", flags, b"size=4k", before=alone)
    assert result == 0
    assert params == {"res": 0, "dev": "here", "dir": str(tmp_path), "type": "tmpfs", "flags": 1 | 8}


def test_flags_beyond_sixteen_bits(trace: Tracer) -> None:
    result, params = trace.call("mount", 0, b"/nonexistent/a", 0, 0x40000 | 0x4000, 0)
    assert result == -2
    assert params == {"res": -2, "dev": None, "dir": "/nonexistent/a", "type": None, "flags": 0x40000 | 0x4000}
