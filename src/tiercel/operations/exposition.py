"""Metrics of one process for prometheus_client: asked of its stages when they are scraped, and never before."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tiercel.operations.table import METRICS

log = logging.getLogger(__name__)

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


@dataclass(frozen=True)
class Histogram:
    """Counts by bucket, one more than there are ends; and the sum of all values."""

    ends: Sequence[float]
    counts: Sequence[int]
    total: float


Sample = tuple[str, tuple[str, ...], float | Histogram]
"""Name of a metric of the table, values of its labels, value."""
Reader = Callable[[], Iterable[Sample]]


class Exposition(Collector):
    """What the readers give, with CPU and memory of the process. A reader that fails costs its own metrics alone."""

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._readers = list(readers)
        self._failures = 0
        self._complaints: Counter[str] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its content type; `accept` is the request's header."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def collect(self) -> Iterator[Family]:
        families: dict[str, Family] = {}
        for reader in self._readers:
            try:
                for name, labels, value in list(reader()):
                    _add(families.setdefault(name, _family(name)), labels, value)
            except Exception as error:
                self._failures += 1
                # Once: it comes again with every scrape.
                if not self._complaints[repr(error)] and len(self._complaints) < 100:
                    self._complaints[repr(error)] += 1
                    log.warning("metrics not readable", exc_info=error)
        failures = _family("tiercel_process_scrape_failures_total")
        _add(failures, (), self._failures)
        yield from [*families.values(), failures]


def _family(name: str) -> Family:
    metric = METRICS[name]
    make = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}[metric.kind]
    made: Family = make(name, metric.help, labels=metric.labels)
    return made


def _add(family: Family, labels: tuple[str, ...], value: float | Histogram) -> None:
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(value, Histogram)
        ends, below = [*map(str, value.ends), "+Inf"], 0
        buckets: list[tuple[str, float]] = []
        for end, count in zip(ends, value.counts, strict=True):
            below += count
            buckets.append((end, below))
        family.add_metric(labels, buckets, value.total)
    else:
        assert not isinstance(value, Histogram)
        family.add_metric(labels, value)
