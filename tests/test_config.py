"""File, then environment, then flags; one line for each fault."""

from pathlib import Path

import pytest

from tiercel import config
from tiercel.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    return tmp_path / "tiercel.yaml"


def test_flags_win_over_environment_over_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("kafka:\n  brokers: file:1\n  sasl_username: file\ncollector:\n  linger_ms: 5\n")
    monkeypatch.setenv("TIERCEL_KAFKA_BROKERS", "environment:1")
    monkeypatch.setenv("TIERCEL_COLLECTOR__WANTED", "openat, connect")
    settings = config.load(file, collector={"linger_ms": 7, "batch_events": None})
    assert settings.kafka.brokers == "environment:1"
    assert settings.kafka.sasl_username == "file"
    assert settings.collector.linger_ms == 7
    assert settings.collector.batch_events == 1000
    assert settings.collector.wanted == ["openat", "connect"]


def test_the_file_may_be_named_by_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("log: {level: debug}\n")
    monkeypatch.setenv("TIERCEL_CONFIG", str(file))
    assert config.load().log.level == "debug"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kafka:\n  broker: x\n", "tiercel.yaml: kafka.broker: no such key (known: brokers,"),
        ("kaffka:\n  brokers: x\n", "tiercel.yaml: kaffka: no such key (known: host, kafka,"),
        ("collector:\n  linger_ms: soon\n", "tiercel.yaml: collector.linger_ms: Input should be a valid integer"),
        ("kafka: {", "tiercel.yaml: not YAML"),
        ("- a\n", "tiercel.yaml: must hold groups of keys"),
    ],
)
def test_a_wrong_file_is_one_line(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        config.load(file)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_an_error_only_when_named(file: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        config.load(file)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("TIERCEL_KAFKA_BROKER", "environment TIERCEL_KAFKA_BROKER: kafka.broker: no such key"),
        ("TIERCEL_KAFFKA_BROKERS", "TIERCEL_KAFFKA_BROKERS: no such setting"),
        ("TIERCEL_LOG__LEVEL", "environment TIERCEL_LOG__LEVEL: log.level: Input should be"),
    ],
)
def test_a_wrong_variable_is_one_line(monkeypatch: pytest.MonkeyPatch, variable: str, message: str) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError, match="^" + message.replace(".", r"\.")):
        config.load()


def test_a_wrong_flag_names_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"^command line: collector\.linger_ms"):
        config.load(collector={"linger_ms": 0})


def test_every_key_is_described() -> None:
    for group, keys in config.keys().items():
        assert keys
        assert all(keys.values()), group


def test_the_password_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load(kafka={"security_protocol": "SASL_SSL", "sasl_password": "hunter2"})
    assert "hunter2" not in repr(settings)
    assert settings.kafka.client()["sasl.password"] == "hunter2"


def test_secrets_of_a_webhook_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERCEL_WEBHOOK_HEADERS", "Authorization: Bearer hunter2\nX-Tenant: a:b, hunter2")
    settings = config.load(webhook={"enabled": True, "url": "https://hooks/hunter2"})
    assert "hunter2" not in repr(settings)
    assert settings.webhook.headers["X-Tenant"].get_secret_value() == "a:b, hunter2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("webhook: {enabled: true}", "webhook: webhook.url must be an http"),
        ("webhook: {enabled: true, url: 'ftp://x/hunter2'}", "webhook: webhook.url must be an http"),
        ("webhook: {headers: {'a b': hunter2}}", "webhook.headers: 'a b' is no name of a header"),
        ('webhook: {headers: {a: "hunter2\\nb: c"}}', "webhook.headers: the value of a must be text of printable"),
        ("webhook: {headers: {content-length: hunter2}}", "webhook.headers: content-length is set by tiercel itself"),
        ('webhook: {user_agent: "x\\r\\ny"}', "webhook.user_agent: "),
        ("alertkafka: {enabled: true, topic: x}", "alertkafka.brokers and alertkafka.topic must say"),
        ("syslog: {address: 'tcp://host'}", "syslog.address: 'tcp://host' is no path, udp://host:port or"),
        ("syslog: {address: 'udp://host:70000'}", "syslog.address: "),
        ("syslog: {facility: kern}", "syslog.facility: "),
        ("file: {priority: loud}", "file.priority: "),
        ("stdout: {queue: 0}", "stdout.queue: "),
    ],
)
def test_wrong_sinks_of_alerts_are_one_line(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        config.load(file)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)
