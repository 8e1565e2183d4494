"""The engine: the per-event hot path, in Rust. Whole batches in, whole batches out; the GIL is released meanwhile."""

__all__: list[str]

def event_table() -> list[tuple[int, str, list[str]]]:
    """`(code, name, parameter names)` of every event, in table order."""

def field_table() -> list[str]:
    """Names of the fields, in table order."""
