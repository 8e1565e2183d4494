"""Fixtures of tests with real containers."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiercel.testing.services import eventually

from .docker import BUSYBOX, IMAGE, Docker, image


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    if not shutil.which("dockerd") or not shutil.which("docker") or not BUSYBOX.exists():
        pytest.skip("needs dockerd, docker and a static busybox (Debian: docker.io busybox-static)")
    # The path of a socket is short: no tmp_path.
    with tempfile.TemporaryDirectory(prefix="tiercel-docker-", ignore_cleanup_errors=True) as folder:
        engine = Docker(Path(folder))
        try:
            eventually(engine.ready, 60)
            engine("import", "-", IMAGE, data=image())
            yield engine
        finally:
            engine.close()
