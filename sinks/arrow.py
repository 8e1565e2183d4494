"""Rows of tables as Arrow: what the ClickHouse sink asks of them and makes of them."""

import pyarrow as pa
import pyarrow.compute as pc

# Each batch has one row of this number in the ledger: what is stored of it (engine/src/columns/ledger.rs).
_STORED = 2


def table(stream: bytes) -> pa.Table:
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_all()


def stream(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return bytes(out.getvalue())


def events(ledger: pa.Table) -> dict[tuple[int, int], int]:
    """Events of each batch, by raw partition and offset."""
    stored = ledger.filter(pc.equal(ledger.column("row"), _STORED))
    partitions, offsets, counts = (stored.column(n).to_pylist() for n in ("raw_partition", "raw_offset", "count"))
    return dict(zip(zip(partitions, offsets, strict=True), counts, strict=True))


def text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def ends(ledger: pa.Table) -> list[int]:
    """UTC ns of the last event of each batch."""
    stored = ledger.filter(pc.equal(ledger.column("row"), _STORED))
    return [int(end) for end in stored.column("until").cast(pa.int64()).to_pylist()]


def with_loss(ledger: pa.Table, there: int) -> pa.Table:
    """The rows of one batch of which the store has only `there` events: the others are lost."""
    rows = ledger.to_pylist()
    for row in rows:
        row.update({name: text(row[name]) for name in ("kind", "stage", "reason")})
    [stored] = [row for row in rows if row["kind"] == "stored"]
    lost = stored | {"kind": "lost", "stage": "sink", "reason": "refused", "row": max(row["row"] for row in rows) + 1}
    lost["count"], stored["count"] = stored["count"] - there, there
    plain = {name: pa.string() for name in ("kind", "stage", "reason")}
    shape = pa.schema([(f.name, plain.get(f.name, f.type)) for f in ledger.schema])
    return pa.Table.from_pylist([*rows, lost], schema=shape)
