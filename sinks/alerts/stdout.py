"""Alerts to standard output, a line each. Whoever reads may close the pipe; then it ends without a word."""

import os

from tiercel.sinks.alerts.base import Alert, AwayError, ClosedError, Form


class StdoutSink:
    """See `base.Sink`. Writes to the descriptor itself: a buffer would be locked by a reader that hangs."""

    name = "stdout"

    def __init__(self, form: Form = "text", *, descriptor: int = 1) -> None:
        self._form, self._descriptor = form, descriptor
        self._rest = b""

    def send(self, alert: Alert) -> None:
        if not self._rest:
            self._rest = alert.line(self._form)
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._descriptor, self._rest) :]
        except BrokenPipeError as error:
            raise ClosedError("closed", str(error)) from None
        except OSError as error:
            # What was written of a line stands there: the next try goes on with the rest of it.
            raise AwayError("not written", error.strerror or "") from None

    def reopen(self) -> None:
        """It is not ours to open."""

    def check(self) -> str:
        os.fstat(self._descriptor)
        return "alerts are printed"

    def close(self) -> None:
        """It stays open: others print, too."""
