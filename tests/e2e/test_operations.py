"""What a running fleet tells of itself: scraped by hand and by Prometheus; and how it ends when told to."""

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tiercel.local import bundled_capture
from tiercel.testing.cluster import Cluster
from tiercel.testing.kafka_server import free_port
from tiercel.testing.services import eventually

pytestmark = pytest.mark.services

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("fleet")
    capture = ["--capture", str(bundled_capture()), "--rate", "20000", "--repeat"]
    environment = {"TIERCEL_FILE_ENABLED": "1", "TIERCEL_FILE_PATH": str(folder / "alerts.log")}
    with Cluster(folder / "run", collect=capture, process=[], environment=environment) as running:
        running.start("forward")
        yield running


def ask(cluster: Cluster, stage: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.ports[stage]}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def scrape(cluster: Cluster, stage: str) -> dict[str, float]:
    """Sums over labels, by name."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(ask(cluster, stage, "/metrics")[1]):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def test_every_stage_tells_of_itself(cluster: Cluster) -> None:
    for stage in ("collect", "process", "sink", "forward"):
        assert eventually(lambda stage=stage: ask(cluster, stage, "/readyz")[0] == 200, 30), stage  # type: ignore[misc]
        assert ask(cluster, stage, "/healthz")[0] == 200
    assert eventually(lambda: scrape(cluster, "sink").get("tiercel_sink_stored_events_total", 0) > 1000, 30)
    assert eventually(lambda: scrape(cluster, "forward").get("tiercel_forward_delivered_alerts_total", 0), 30)
    collect, process, sink = (scrape(cluster, stage) for stage in ("collect", "process", "sink"))
    assert collect["tiercel_collector_produced_events_total"] >= collect["tiercel_collector_delivered_events_total"]
    assert collect["tiercel_collector_sent_messages_total"] > 0
    assert (process["tiercel_worker_partitions"], process["tiercel_worker_hosts"]) == (3, 1)
    assert process["tiercel_worker_rules"] > 10
    assert process["tiercel_worker_alerts_total"] == process["tiercel_worker_rule_alerts_total"] > 0
    assert "tiercel_worker_lag_messages" in process
    assert sink["tiercel_sink_partitions"] == 6
    for stage in (collect, process, sink):
        assert stage["tiercel_process_scrape_failures_total"] == 0
        assert stage["tiercel_process_ready"] == 1


def test_prometheus_scrapes_the_stages_and_judges_them_by_the_rules(cluster: Cluster, tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("needs prometheus (Debian: prometheus)")
    port = free_port()
    # A worker that is not there, so that an alert has a reason.
    targets = [f"127.0.0.1:{cluster.ports[stage]}" for stage in ("collect", "process", "sink", "forward")]
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "deploy" / "prometheus" / "tiercel.rules.yaml")],
        "scrape_configs": [
            {"job_name": "tiercel", "static_configs": [{"targets": [*targets, f"127.0.0.1:{free_port()}"]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=tmp_path, stdout=log, stderr=log
        )

    def query(path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)["data"]
                return found
        except OSError:
            return {}

    try:
        assert eventually(lambda: len(query("query?query=up==1").get("result", [])) == 4, 30)
        rate = "query?query=sum(rate(tiercel_worker_events_total[20s]))"
        assert eventually(lambda: [one for one in query(rate).get("result", []) if float(one["value"][1]) > 100], 30)

        def pending() -> set[str]:
            return {one["labels"]["alertname"] for one in query("alerts").get("alerts", [])}

        # The events of a capture are old.
        assert eventually(lambda: pending() >= {"TiercelProcessGone", "TiercelLate"}, 15), pending()
        groups = query("rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    finally:
        server.kill()
        server.wait()


def test_a_stage_under_load_ends_within_ten_seconds_and_says_what_it_did(cluster: Cluster) -> None:
    time.sleep(2)
    for stage in ("forward", "process", "sink", "collect"):
        since = time.monotonic()
        status = cluster.stop(stage)
        took = time.monotonic() - since
        print(f"tiercel {stage} ended after {took:.1f} s")
        lines = cluster.log(stage).read_text(errors="replace")
        assert (status, took < 10) == (0, True), (stage, status, took, lines[-2000:])
        last = {
            "forward": "alerts forwarded",
            "process": "worker ended",
            "sink": "sink ended",
            "collect": "collector ended",
        }
        assert last[stage] in lines.splitlines()[-1], lines[-2000:]
        assert "Traceback" not in lines


@pytest.mark.parametrize("stage", ["collect", "sink", "process", "forward"])
def test_a_second_signal_ends_at_once(cluster: Cluster, stage: str) -> None:
    """While the broker is stopped, there is something to wait for."""
    arguments = ["--capture", str(bundled_capture()), "--rate", "20000", "--repeat"] if stage == "collect" else []
    process = cluster.start(stage, *arguments)
    assert eventually(lambda: ask(cluster, stage, "/readyz")[0] == 200, 30)
    assert cluster.kafka.process is not None
    cluster.kafka.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(5)
        assert time.monotonic() - since < 1
    finally:
        cluster.kafka.process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        del cluster.processes[stage]
