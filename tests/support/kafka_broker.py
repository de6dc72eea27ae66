"""A real Kafka broker as a child process: one KRaft node on loopback, that can be killed.

Listeners: plain; SASL without TLS; TLS, with and without SASL. The users of SASL are in USERS,
for PLAIN and SCRAM alike. Topics are not made by being asked for.

Rule 1: ports and data stay the same over kill() and start(): it is the same broker.
Rule 2: ports lie below the ephemeral range, so that no client takes one meanwhile.
Rule 3: everything is in one folder, which the caller removes.

Cost: 2 s and 300 MB a broker.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import Struct

from tests.support.certificates import Authority
from tests.support.kafka_jars import KafkaUnavailable, jars, java

USERS = {"gateway": "tulip-4711", "reader": "daisy-0815"}
CLUSTER = "Z2F0ZXdheS10ZXN0cy0wMQ"  # any 16 bytes in base64
START_S = 60.0
TRIES = 3
HEAP = ["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
LOG4J = """status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


class Address(Struct, frozen=True, kw_only=True):
    """Where a broker listens; what is "" it has not."""

    plain: str
    sasl: str = ""
    tls: str = ""
    sasl_tls: str = ""
    mutual: str = ""  # TLS that asks for a client's certificate
    ca: str = ""  # PEM file
    client_certificate: str = ""  # PEM file, for `mutual`
    client_key: str = ""  # PEM file


class Broker:
    """One broker; use it as a context."""

    def __init__(self, folder: Path, *, heap: list[str] | None = None) -> None:
        self.folder = folder
        self._jars = jars()
        self._heap = HEAP if heap is None else heap
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._certificates()

    def __enter__(self) -> Self:
        for left in reversed(range(TRIES)):
            self._settle()
            try:
                self.start()
            except KafkaUnavailable:
                self.kill()
                if not left:
                    raise
            else:
                break
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def bootstrap(self) -> str:
        return self.address.plain

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker does not run"
        return self._process.pid

    def start(self) -> None:
        """Return when the broker answers."""
        self.launch()
        self.await_answers()

    def launch(self) -> None:
        """Begin; only from a thread that lives on, since the broker dies with it."""
        command = [java(), *self._heap, "-Djava.awt.headless=true"]
        command += [f"-Dlog4j.configurationFile={self.folder / 'log4j2.properties'}"]
        command += ["-cp", f"{self._jars}/*", "kafka.Kafka", str(self.folder / "properties")]
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                preexec_fn=_die_with_parent,  # noqa: PLW1509
            )

    def kill(self) -> None:
        """As a power cut would, but that the kernel keeps what was written."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Connections stay open, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    # -- making it

    def _settle(self) -> None:
        """Choose ports, write the configuration, format empty data."""
        data = self.folder / f"data-{random.randrange(16**8):08x}"
        plain, sasl, tls, sasl_tls, mutual, controller = (
            f"127.0.0.1:{port}" for port in free_ports(6)
        )
        self.address = Address(
            plain=plain,
            sasl=sasl,
            tls=tls,
            sasl_tls=sasl_tls,
            mutual=mutual,
            ca=str(self._authority.ca_file),
            client_certificate=str(self._client[0]),
            client_key=str(self._client[1]),
        )
        log4j = LOG4J.format(path=self.folder / "broker.log")
        (self.folder / "log4j2.properties").write_text(log4j)
        (self.folder / "properties").write_text(
            "".join(f"{name}={value}\n" for name, value in self._properties(data, controller))
        )
        self._format()

    def _properties(self, data: Path, controller: str) -> list[tuple[str, object]]:
        address = self.address
        listeners = {
            "PLAINTEXT": address.plain,
            "SASL_PLAINTEXT": address.sasl,
            "SSL": address.tls,
            "SASL_SSL": address.sasl_tls,
            "MUTUAL": address.mutual,
        }
        advertised = ",".join(f"{name}://{place}" for name, place in listeners.items())
        kinds = ",".join(f"{name}:{'SSL' if name == 'MUTUAL' else name}" for name in listeners)
        made: list[tuple[str, object]] = [
            ("process.roles", "broker,controller"),
            ("node.id", 1),
            ("controller.quorum.voters", f"1@{controller}"),
            ("listeners", f"{advertised},CONTROLLER://{controller}"),
            ("advertised.listeners", advertised),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("listener.security.protocol.map", f"{kinds},CONTROLLER:PLAINTEXT"),
            ("log.dirs", data),
            ("num.partitions", 4),
            ("offsets.topic.num.partitions", 4),
            ("offsets.topic.replication.factor", 1),
            ("transaction.state.log.num.partitions", 4),
            ("transaction.state.log.replication.factor", 1),
            ("transaction.state.log.min.isr", 1),
            ("group.initial.rebalance.delay.ms", 0),
            ("group.min.session.timeout.ms", 500),  # so that a killed member is missed soon
            # Why: a killed broker may come back only when its last session has ended.
            ("broker.session.timeout.ms", 1000),
            ("broker.heartbeat.interval.ms", 200),
            ("auto.create.topics.enable", "false"),
            ("log.retention.ms", -1),  # Why: records of tests have times of their own, long ago
            ("log.cleaner.dedupe.buffer.size", 2 * 2**20 + 1),
            ("num.network.threads", 2),
            ("num.io.threads", 4),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", self.folder / "keystore.pem"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", self._authority.ca_file),
            ("listener.name.mutual.ssl.client.auth", "required"),
        ]
        security = "org.apache.kafka.common.security"
        users = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
        for listener in ("sasl_plaintext", "sasl_ssl"):
            prefix = f"listener.name.{listener}"
            made.append(
                (
                    f"{prefix}.plain.sasl.jaas.config",
                    f"{security}.plain.PlainLoginModule required {users};",
                )
            )
            made += [
                (
                    f"{prefix}.scram-sha-{bits}.sasl.jaas.config",
                    f"{security}.scram.ScramLoginModule required;",
                )
                for bits in (256, 512)
            ]
        return made

    def _certificates(self) -> None:
        self._authority = Authority(self.folder, "ca")
        certificate, key = self._authority.issue("localhost", "127.0.0.1", file="broker")
        self._client = self._authority.issue("gateway", file="client")
        # Why: Kafka reads keys in PKCS #8 only.
        private = load_pem_private_key(key.read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        (self.folder / "keystore.pem").write_bytes(private + certificate.read_bytes())

    def _format(self) -> None:
        command = [java(), *self._heap, "-cp", f"{self._jars}/*", "kafka.tools.StorageTool"]
        command += ["format", "-t", CLUSTER, "-c", str(self.folder / "properties")]
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            for name, password in USERS.items():
                command += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_S, check=False, cwd=self.folder
        )
        if done.returncode:
            raise KafkaUnavailable(f"Kafka cannot format its data: {done.stdout}{done.stderr}")

    def await_answers(self) -> None:
        deadline = time.monotonic() + START_S
        while not answers(self.address.plain):
            process = self._process
            if process is None or process.poll() is not None:
                raise KafkaUnavailable(f"the broker ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                raise KafkaUnavailable(f"the broker did not answer in {START_S:g} s")
            time.sleep(0.05)

    def _last_words(self) -> str:
        texts = [self.folder / "output.txt", self.folder / "broker.log"]
        return "".join(text.read_text()[-2000:] for text in texts if text.exists())


def _die_with_parent() -> None:
    """Runs in the child: whoever kills the tests leaves no broker behind."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports below the ephemeral range that nobody has now."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def answers(address: str) -> bool:
    """Whether a broker there answers ApiVersions (key 18, version 0)."""
    host, _, port = address.rpartition(":")
    request = b"\0\x12\0\0\0\0\0\1\0\0"  # key, version, correlation id, no client id
    try:
        with socket.create_connection((host, int(port)), timeout=1) as connection:
            connection.sendall(len(request).to_bytes(4, "big") + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False
