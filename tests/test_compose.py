"""The compose file: the topics that it makes are those of schemas/topics.py, and no password has a default."""

import re
from pathlib import Path

import yaml

from tiercel.joints.registry import LEVEL
from tiercel.schemas import topics

ROOT = Path(__file__).parent.parent


def test_topics_of_the_setup_script_are_the_declared_ones() -> None:
    found = {}
    for line in (ROOT / "scripts" / "kafka-setup.sh").read_text().splitlines():
        if match := re.fullmatch(r'topic (\S+) (?:("\$PARTITIONS")|1)((?: \S+=\S+)*)', line):
            found[match[1]] = (bool(match[2]), dict(word.split("=") for word in match[3].split()))
    assert found == {topic.name: (topic.by_host, topic.settings) for topic in topics.TOPICS}


def test_no_password_has_a_default_and_every_image_has_a_version() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"\$\{\w*PASSWORD\w*(?!:\?)[^}:]*[:}](?!\?)", text)
    assert not re.search(r"(?i)_password:? *=? *\"?[a-z0-9]", re.sub(r"\$\{[^}]*\}", "$", text))
    for name, service in yaml.safe_load(text)["services"].items():
        assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"]), name
        assert "healthcheck" in service or name == "kafka-setup", name


def test_the_registry_takes_what_workers_ask_of_it_and_readers_read_alerts_alone() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    told = services["registry"]["environment"]
    assert told["SCHEMA_REGISTRY_SCHEMA_COMPATIBILITY_LEVEL"] == LEVEL
    port = told["SCHEMA_REGISTRY_LISTENERS"].rpartition(":")[2]
    for name in ("worker", "sink", "forward"):
        assert services[name]["environment"]["TIERCEL_KAFKA_SCHEMA_REGISTRY"] == f"http://registry:{port}"
        assert services[name]["depends_on"]["registry"] == {"condition": "service_healthy"}
    setup = (ROOT / "scripts" / "kafka-setup.sh").read_text()
    doc = (ROOT / "docs" / "alert_topic.md").read_text()
    group = re.findall(r"^allow reader .*--group (\S+) --resource-pattern-type prefixed$", setup, re.MULTILINE)
    assert group == ["tiercel-alerts"]
    assert f"begin with `{group[0]}`" in doc
    assert f'default="{group[0]}-' in (ROOT / "examples" / "alerts.py").read_text()


def test_prometheus_scrapes_where_the_stages_listen() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    settings = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
    targets = settings["scrape_configs"][0]["static_configs"][0]["targets"]
    for target in targets:
        name, _, port = target.partition(":")
        environment = services[name]["environment"]
        assert environment["TIERCEL_OPERATIONS_LISTEN"] == f"0.0.0.0:{port}"
        assert name in environment["TIERCEL_OPERATIONS_HOSTS"].split(",")
        assert f"localhost:{port}/healthz" in services[name]["healthcheck"]["test"][-1]
    assert len(targets) == 3
    for name in ("prometheus", "grafana"):
        for volume in services[name]["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), volume
