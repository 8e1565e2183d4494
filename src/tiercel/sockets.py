"""Unix sockets to listen on, which only their owner may use."""

import os
import socket
from pathlib import Path

from tiercel.errors import TiercelError


def listen_unix(path: Path, what: str) -> socket.socket:
    """A socket of mode 0600 that listens; one left by a killed process is replaced. TiercelError names `what`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise TiercelError(f"{path.parent}: cannot make the directory of {what}'s socket: {error.strerror}") from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                listener.close()
                raise TiercelError(f"{path}: another tiercel is running and answers here")
    old = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise TiercelError(f"{path}: {what} cannot listen here: {error.strerror}") from None
    finally:
        os.umask(old)
    listener.listen(64)
    return listener
