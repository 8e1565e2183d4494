"""The script that makes what docker-compose.yml wants from its environment."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in ("docker-compose.yml", "scripts/compose-env.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([folder / "scripts/compose-env.sh", *words], capture_output=True, text=True, check=False)


def test_it_gives_all_that_is_asked_for_and_each_secret_once(folder: Path) -> None:
    assert run(folder, "broker.example:19094").returncode == 0
    file = folder / ".env"
    found = dict(line.split("=", 1) for line in file.read_text().splitlines())
    wanted = re.findall(r"\$\{(\w+):\?", (folder / "docker-compose.yml").read_text())
    assert set(wanted) <= found.keys()
    assert (found["KAFKA_ADVERTISED"], found["KAFKA_PORT"]) == ("broker.example:19094", "19094")
    assert re.fullmatch(r"[A-Za-z0-9_-]{21}[AQgw]", found["KAFKA_CLUSTER_ID"])
    secrets = [value for name, value in found.items() if name.endswith(("PASSWORD", "TOKEN"))]
    assert len(set(secrets)) == len(secrets) >= 9
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", secret) for secret in secrets)
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_overwrites_nothing(folder: Path) -> None:
    (folder / ".env").write_text("MINE=1\n")
    assert run(folder, "broker.example:9094").returncode == 1
    assert (folder / ".env").read_text() == "MINE=1\n"


@pytest.mark.parametrize("words", [(), ("broker",), ("broker:9094", "more")])
def test_it_says_what_it_needs(folder: Path, words: tuple[str, ...]) -> None:
    done = run(folder, *words)
    assert done.returncode == 2
    assert done.stderr
    assert list(folder.glob(".env*")) == []
