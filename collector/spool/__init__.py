"""Batches on disk until Kafka has them: `Spool` is what the collector hands them to."""

from tiercel.collector.spool.spool import Spool

__all__ = ["Spool"]
