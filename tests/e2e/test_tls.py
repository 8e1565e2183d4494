"""Collector, worker and sink over TLS with client certificates, and over TLS with passwords; and what is wrong told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tiercel.joints import kafka as joint
from tiercel.local import bundled_capture
from tiercel.schemas import topics
from tiercel.testing.kafka_server import KafkaServer, free_port
from tiercel.testing.services import eventually

pytestmark = pytest.mark.services


@dataclass
class Secured:
    kafka: KafkaServer
    folder: Path
    ssl_port: int
    sasl_port: int

    def settings(self, way: str) -> dict[str, str]:
        """Environment of a client that is let in."""
        common = {"TIERCEL_KAFKA_SSL_CA_LOCATION": str(self.folder / "ca.pem"), "TIERCEL_KAFKA_PARTITIONS": "2"}
        if way == "mtls":
            return {
                **common,
                "TIERCEL_KAFKA_BROKERS": f"localhost:{self.ssl_port}",
                "TIERCEL_KAFKA_SECURITY_PROTOCOL": "SSL",
                "TIERCEL_KAFKA_SSL_CERTIFICATE_LOCATION": str(self.folder / "client.pem"),
                "TIERCEL_KAFKA_SSL_KEY_LOCATION": str(self.folder / "client.key"),
            }
        return {
            **common,
            "TIERCEL_KAFKA_BROKERS": f"localhost:{self.sasl_port}",
            "TIERCEL_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "TIERCEL_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "TIERCEL_KAFKA_SASL_USERNAME": "collector",
            "TIERCEL_KAFKA_SASL_PASSWORD": "correct horse",
        }


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other-ca.pem")
    server, client = ca.issue_cert("localhost"), ca.issue_cert("collector@tiercel")
    key = load_pem_private_key(server.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(pkcs8 + b"".join(blob.bytes() for blob in server.cert_chain_pems))
    client.private_key_pem.write_to_path(folder / "client.key")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    ssl_port, sasl_port = free_port(), free_port()
    extra = f"""
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},SSL://127.0.0.1:{ssl_port},SASL_SSL://127.0.0.1:{sasl_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SSL://localhost:{ssl_port},SASL_SSL://localhost:{sasl_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={folder / "server.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={folder / "ca.pem"}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""
    with KafkaServer(folder / "kafka", extra=extra) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.brokers})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion("collector", info, b"correct horse")
        admin.alter_user_scram_credentials([user])["collector"].result(20)
        topics.create({"bootstrap.servers": kafka.brokers}, partitions=2)
        yield Secured(kafka, folder, ssl_port, sasl_port)


def start(stage: str, folder: Path, settings: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    own = {
        "TIERCEL_COLLECTOR_SPOOL": str(folder / "spool"), "TIERCEL_STORE_DSN": f"chdb://{folder / 'store'}",
        "TIERCEL_API_SOCKET": str(folder / "api.sock"),
    }  # fmt: skip
    with (folder / f"{stage}.log").open("ab") as log:
        command = [sys.executable, "-m", "tiercel", stage, *arguments]
        return subprocess.Popen(command, env=os.environ | own | settings, stdout=log, stderr=log)


@pytest.mark.parametrize("way", ["mtls", "scram"])
def test_collector_worker_and_sink_are_let_in(secured: Secured, tmp_path: Path, way: str) -> None:
    settings = secured.settings(way)
    plain = {"bootstrap.servers": secured.kafka.brokers}
    before = sum(joint.ends(plain, topics.EVENTS, range(2)).values())
    with ExitStack() as stack:
        for stage in ("process", "sink"):
            running = start(stage, tmp_path, settings)
            stack.callback(running.wait)
            stack.callback(running.kill)
        done = start("collect", tmp_path, settings, "--capture", str(bundled_capture())).wait(60)
        assert done == 0, (tmp_path / "collect.log").read_text()
        assert eventually(lambda: sum(joint.ends(plain, topics.EVENTS, range(2)).values()) > before, 60), (
            tmp_path / "process.log"
        ).read_text()
        assert eventually(lambda: joint.behind(plain, "tiercel-sink", [topics.EVENTS]) == 0, 60), (
            tmp_path / "sink.log"
        ).read_text()


@pytest.mark.parametrize(
    ("way", "wrong", "said"),
    [
        ("mtls", {"TIERCEL_KAFKA_SSL_CA_LOCATION": "other-ca.pem"}, "certificate verify failed"),
        ("mtls", {"TIERCEL_KAFKA_SSL_CERTIFICATE_LOCATION": "", "TIERCEL_KAFKA_SSL_KEY_LOCATION": ""}, "certificate"),
        ("scram", {"TIERCEL_KAFKA_SASL_PASSWORD": "wrong"}, "credentials"),
    ],
)
@pytest.mark.parametrize("stage", ["collect", "process"])
def test_what_is_wrong_is_one_line(  # noqa: PLR0917
    secured: Secured, tmp_path: Path, stage: str, way: str, wrong: dict[str, str], said: str
) -> None:
    wrong = {key: str(secured.folder / value) if value.endswith(".pem") else value for key, value in wrong.items()}
    begun = time.monotonic()
    arguments = ["--capture", str(bundled_capture())] if stage == "collect" else []
    running = start(stage, tmp_path, secured.settings(way) | wrong, *arguments)
    try:
        assert running.wait(40) == 1
    finally:
        running.send_signal(signal.SIGKILL)
    lines = (tmp_path / f"{stage}.log").read_text().strip().splitlines()
    assert len(lines) == 1, lines
    assert said in lines[0]
    assert time.monotonic() - begun < 30
