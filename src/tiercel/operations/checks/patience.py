"""A check that does not come back is a finding, too."""

import threading
from collections.abc import Callable, Iterable

from tiercel.errors import TiercelError
from tiercel.probe.check import Finding

PATIENCE_S = 15.0


def within(name: str, check: Callable[[], Iterable[Finding]], seconds: float | None = None) -> list[Finding]:
    """The findings of a check, or one that says that it has failed or took too long."""
    seconds = PATIENCE_S if seconds is None else seconds
    found: list[Finding] = []

    def run() -> None:
        try:
            found.extend(check())
        except TiercelError as error:
            found.append(Finding(name, False, str(error), "see the text, and docs/operations.md"))
        except Exception as error:
            found.append(Finding(name, False, f"the check failed: {error!r}", "please report this"))

    thread = threading.Thread(target=run, name=f"check-{name}", daemon=True)
    thread.start()
    thread.join(seconds)
    told = list(found)
    if thread.is_alive():
        told.append(Finding(name, False, f"no answer within {seconds:.0f} s", "see whether it hangs, or the way to it"))
    return told
