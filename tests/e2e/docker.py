"""A Docker engine of our own for tests, with an image of a static busybox."""

import io
import json
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
IMAGE = "tiercel/box:1.5"


class Docker:
    """A Docker engine in a directory of its own, without network."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "docker.sock"
        self._log = (folder / "log").open("wb")
        flags = ["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]
        places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
        command = ["dockerd", *flags, *places, "-H", f"unix://{self.socket}"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def __call__(self, *arguments: str, check: bool = True, data: bytes | None = None) -> str:
        command = ["docker", "-H", f"unix://{self.socket}", *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def ready(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return self.socket.exists() and bool(self("version", "--format", "{{.Server.Version}}", check=False))

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("inspect", container))[0]
        return found

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._log.close()
        subprocess.run(["umount", str(self.folder / "exec/netns/default")], capture_output=True, check=False)


def image() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in (".", "bin"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        tar.add(BUSYBOX, "bin/busybox")
        for name in ("sh", "cat", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return out.getvalue()
