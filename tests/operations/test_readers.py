"""What stages counted is what their readers tell, under names of the table; a scrape costs little."""

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tiercel._engine import Batch, RuleSet, encode_raw
from tiercel.collector.collector import Totals
from tiercel.operations import readers
from tiercel.operations.exposition import Exposition, Reader
from tiercel.processors.running import Running
from tiercel.processors.worker import Worker, rule_of
from tiercel.rules.load import Loader
from tiercel.schemas import avro
from tiercel.sinks.alerts.base import Alert, RefusedError
from tiercel.sinks.alerts.lane import Lane
from tiercel.sinks.memory import MemorySink
from tiercel.testing import builders

RULE = "- rule: {}\n  desc: d\n  condition: evt.type = getcwd\n  output: o\n  priority: NOTICE\n"


def told(*asked: Reader) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and values of labels, in the order of the labels' names."""
    text = Exposition(asked).render()[0].decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def message(host: str, threads: int, first: int = 1) -> bytes:
    batch = Batch()
    now = time.time_ns() - 150_000_000
    for tid in range(10, 10 + threads):
        batch.append("getcwd", time=now, tid=tid, params=[0, "/"])
    header: dict[str, Any] = {"host_id": host, "host": host, "boot_id": "b", "run": 1, "first_seq": first}
    body = encode_raw(batch, 0, len(batch), header | {"produced": 0, "delivered": 0})
    return avro.frame("raw_batch", body)


def rules(*names: str) -> RuleSet:
    loader = Loader()
    loader.read_text("r.yaml", "".join(map(RULE.format, names)))
    return RuleSet(loader.finish().plan(throttled=False))


def test_a_worker_tells_what_it_did_and_holds() -> None:
    worker = Worker(rules("a rule"))
    worker.handle(2, 40, b"web1", message("web1", 3))
    worker.handle(2, 41, b"web2", message("web2", 5))
    worker.handle(2, 42, b"web2", b"nonsense")
    running = Running(worker, {1, 2}, {2: 42}, highwater={1: 9, 2: 50}.get, rules=lambda: ("abc", 1))
    found = told(readers.running(running))
    assert found["tiercel_worker_events_total", ()] == 8
    assert found["tiercel_worker_alerts_total", ()] == found["tiercel_worker_rule_alerts_total", ("a rule",)] == 8
    assert found["tiercel_worker_quarantined_messages_total", ()] == 1
    assert found["tiercel_worker_hosts", ()] == 2
    assert found["tiercel_worker_threads", ()] == 8
    assert found["tiercel_worker_state_bytes", ()] > 1000
    assert found["tiercel_worker_partitions", ()] == 2
    # Of a partition of which nothing was read yet no more than that is known.
    assert [key for key in found if key[0] == "tiercel_worker_lag_messages"] == [
        ("tiercel_worker_lag_messages", ("2",))
    ]
    assert found["tiercel_worker_lag_messages", ("2",)] == 7
    assert found["tiercel_worker_rules_info", ("abc",)] == 1
    assert found["tiercel_worker_latency_seconds_bucket", ("0.1",)] == 0
    assert found["tiercel_worker_latency_seconds_bucket", ("+Inf",)] == 2
    assert 0.3 <= found["tiercel_worker_latency_seconds_sum", ()] < 5


def test_rules_are_counted_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiercel.processors.worker._MAX_RULES", 2)
    worker = Worker(None)
    for number, name in enumerate(["a", "b", "c", "d", "a"]):
        worker.use(rules(name))
        worker.handle(0, number, b"web1", message("web1", 1, number + 1))
    assert worker.counters.rules == {"a": 2, "b": 1, "other": 2}


@given(st.text(), st.integers(-(1 << 63), (1 << 63) - 1), st.text(max_size=300))
def test_the_rule_of_an_alert_is_read_as_avro_has_it(key: str, at: int, rule: str) -> None:
    alert = builders.alert(key, rule=rule, time=at)
    assert rule_of(avro.body_of("alert", alert)) == rule


def test_a_collector_tells_its_losses_by_stage_and_reason() -> None:
    class Stage:
        def totals(self) -> Totals:
            return Totals(
                100, 90, {("ring", "full"): 8, ("collector", "queue_full"): 2}, 4, {("ring", "budget_payload"): 5}
            )

    found = told(readers.collector(Stage()))  # type: ignore[arg-type]
    assert found["tiercel_collector_lost_events_total", ("full", "ring")] == 8
    assert found["tiercel_collector_shed_payloads_total", ("budget_payload", "ring")] == 5
    assert found["tiercel_collector_produced_events_total", ()] == 100


def test_a_lane_tells_what_became_of_alerts() -> None:
    class Refusing:
        name = "webhook"

        def send(self, _alert: Alert) -> None:
            raise RefusedError("status_400")

        def close(self) -> None: ...

    lane = Lane(Refusing(), host=("h", "h"))  # type: ignore[arg-type]
    lane.offer(Alert.of(builders.alert("1")))
    lane.close(time.monotonic() + 5)
    found = told(readers.lane(lane, lambda: 3))
    assert found["tiercel_forward_refused_alerts_total", ("status_400", "webhook")] == 1
    assert found["tiercel_forward_lag_messages", ("webhook",)] == 3


def test_scraping_while_a_worker_works_disturbs_neither() -> None:
    worker = Worker(None)
    batches = [message(f"web{number}", 200) for number in range(8)]
    stop = threading.Event()
    failed: list[Exception] = []

    def scrape() -> None:
        while not stop.is_set():
            try:
                assert told(readers.worker(worker))["tiercel_process_scrape_failures_total", ()] == 0
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=scrape)
    thread.start()
    for offset in range(400):
        worker.handle(0, offset, f"web{offset % 8}".encode(), batches[offset % 8])
    stop.set()
    thread.join()
    assert not failed
    assert worker.counters.quarantined == 0


def test_a_scrape_of_a_thousand_hosts_takes_some_milliseconds() -> None:
    worker = Worker(None)
    for number in range(1000):
        worker.handle(0, number, b"", message(f"web{number}", 20))
    exposition = Exposition([readers.worker(worker)])
    spent = []
    for _ in range(5):
        since = time.thread_time()
        exposition.render()
        spent.append(time.thread_time() - since)
    print(f"a scrape of 1000 hosts: {min(spent) * 1000:.1f} ms")
    assert min(spent) < 0.1


def test_a_sink_tells_what_its_inserts_took() -> None:
    counters = pytest.importorskip("tiercel.sinks.counters", reason="sinks count no inserts").SinkCounters(
        inserts=3, insert_seconds=1.5, paused=True
    )
    counters.retries["away"] += 2
    counters.stored_after(0.25)
    sink = MemorySink()
    sink.counters = counters
    found = told(readers.sink(sink))
    assert found["tiercel_sink_inserts_total", ()] == 3
    assert found["tiercel_sink_retries_total", ("away",)] == 2
    assert found["tiercel_sink_paused", ()] == 1
    assert found["tiercel_sink_latency_seconds_bucket", ("0.3",)] == 1


def test_a_spool_tells_how_full_it_is() -> None:
    class Disk:
        disk_bytes, records, write_errors = 100, 3, 1

        def oldest_age(self) -> float:
            return 7.5

    found = told(readers.spool(Disk(), 1000))
    assert found["tiercel_collector_spool_bytes", ()] / found["tiercel_collector_spool_limit_bytes", ()] == 0.1
    assert found["tiercel_collector_spool_oldest_seconds", ()] == 7.5
