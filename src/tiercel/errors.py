"""The one error tree: a user sees the message of a TiercelError as one line, never a traceback."""


class TiercelError(Exception):
    """Something that the user can understand and mend; the message says what, where, and what to do."""


class ConfigError(TiercelError):
    """A configuration file, environment variable or flag is wrong."""


class CaptureError(TiercelError):
    """A capture file cannot be read; what was whole before the fault has been delivered."""


class ProbeError(TiercelError):
    """The kernel refused the probe."""


class RuleError(TiercelError):
    """A rule file is wrong. `file`, `line` and `column` (from 1) say where, as far as known."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.file, self.line, self.column = file, line, column


class SchemaError(TiercelError):
    """Bytes that are not what their schema says."""


class KafkaError(TiercelError):
    """The broker is away, refuses, or lacks a topic."""


class RegistryAwayError(KafkaError):
    """The schema registry cannot tell now; it may later."""


class StoreError(TiercelError):
    """ClickHouse is away, refuses, or its directory is in use."""


class SpoolError(TiercelError):
    """The folder in which batches wait for Kafka cannot be used."""


class SpoolBusyError(SpoolError):
    """Another collector uses it."""
