"""Has a stage watched for as long as it runs: joins its readers and its health to the HTTP server."""

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tiercel import __version__
from tiercel.config import LOOPBACK, Operations
from tiercel.errors import TiercelError
from tiercel.operations.exposition import Exposition, Reader, Sample
from tiercel.operations.health import Health
from tiercel.operations.server import Application, Server
from tiercel.sockets import listen_unix

log = logging.getLogger(__name__)

Stage = Literal["collect", "process", "sink", "forward"]
PORTS: dict[Stage, int] = {"collect": 9560, "process": 9561, "sink": 9562, "forward": 9563}


@contextmanager
def watched(settings: Operations, stage: Stage, health: Health, readers: Sequence[Reader]) -> Iterator[None]:
    """Answers for the stage while inside; what the readers read must outlive that. TiercelError if it cannot listen."""
    listener = _listen(settings, stage)
    if listener is None:
        yield
        return

    def process() -> Iterator[Sample]:
        yield "tiercel_process_info", (stage, __version__), 1
        yield "tiercel_process_ready", (), health.ready()[0]
        yield "tiercel_process_loop_age_seconds", (), health.age()

    hosts = None
    if listener.family != socket.AF_UNIX:
        own = settings.address[0].lower() if settings.address is not None else "localhost"
        hosts = {*LOOPBACK, own, *(name.lower() for name in settings.hosts)}
    application = Application(
        Exposition([process, *readers]), health, hosts=hosts, token=settings.token.get_secret_value()
    )
    server = Server(application, listener)
    try:
        yield
    finally:
        server.close()
        if settings.listen.startswith("/"):
            Path(settings.listen).unlink(missing_ok=True)


def _listen(settings: Operations, stage: Stage) -> socket.socket | None:
    if settings.listen == "off":
        return None
    if settings.listen.startswith("/"):
        return listen_unix(Path(settings.listen), "operations")
    host, port = settings.address or ("127.0.0.1", PORTS[stage])
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        if not settings.listen:
            # Of several on a machine, one has it; which of them is of no use to anybody who did not choose.
            log.warning(
                "no metrics: set operations.listen", extra={"taken": f"{host}:{port}", "reason": error.strerror}
            )
            return None
        raise TiercelError(f"operations.listen {settings.listen}: cannot listen here: {error.strerror}") from None
    listener.setblocking(False)
    log.info("metrics and health at http://%s:%d", f"[{host}]" if ":" in host else host, listener.getsockname()[1])
    return listener
