"""What is installed from a source distribution is complete: the linked folders are in the wheel."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("collector", "hunt", "probe", "processors", "rules", "schemas", "serve", "sinks")
SUFFIXES = {".py", ".avsc", ".sql", ".toml", ".yaml", ".gz"}


def _build(source: Path, out: Path, *arguments: str) -> Path:
    # The target folder of the checkout is used again: only the last crate is compiled anew.
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "engine/target")}
    command = [Path(sys.executable).parent / "maturin", *arguments, "--out", out]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return next(out.iterdir())


@pytest.mark.timeout(600)
def test_sdist_then_wheel_hold_every_file_of_the_linked_folders(tmp_path: Path) -> None:
    sdist = _build(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    source = next((tmp_path / "source").iterdir())
    wheel = _build(source, tmp_path / "wheel", "build", "--release")
    listed = subprocess.run(["git", "ls-files", *FOLDERS, "src"], cwd=ROOT, capture_output=True, text=True, check=False)
    files = [Path(line) for line in listed.stdout.splitlines()]
    wanted = {Path(*f.parts[2:]) if f.parts[0] == "src" else f for f in files if f.suffix in SUFFIXES}
    assert wanted
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {str(Path(name).relative_to("tiercel")) for name in names if name.startswith("tiercel/")}
    strays = [name for name in names if not name.startswith("tiercel") or name.endswith(".pyc")]
    assert {str(f) if f.parts[0] != "tiercel" else str(Path(*f.parts[1:])) for f in wanted} - inside == set()
    assert "probe/tiercel.bpf.o" in inside
    assert strays == []
