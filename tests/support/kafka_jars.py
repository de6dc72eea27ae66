"""Apache Kafka's own jars, fetched once by Maven into a cache that all checkouts share.

`python -m tests.support.kafka_jars` fetches them ahead of the tests and says where they are.

Rule 1: whoever comes while another process fetches waits for it, for a bounded time.
Rule 2: a folder with jars is complete: it gets its name when the last jar is there.
Rule 3: what is missing is told in one sentence, as KafkaUnavailable.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = os.environ.get("GATEWAY_TEST_KAFKA_VERSION", "4.1.1")
LOG4J_VERSION = "2.24.3"
FETCH_S = 240.0

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>broker</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-1.2-api</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class KafkaUnavailable(Exception):
    """There can be no broker here; the sentence says why."""


def cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "inference-gateway" / "kafka"


def java() -> str:
    found = shutil.which("java")
    if found is None:
        raise KafkaUnavailable("there is no `java` (17 or later) to run a Kafka broker with")
    return found


def jars() -> Path:
    """The folder with all jars of the broker; fetched if they are not there yet."""
    java()
    folder = cache() / KAFKA_VERSION
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("there is no `mvn` to fetch Kafka's jars with")
    with locked(cache() / "fetch.lock", FETCH_S):
        if not folder.is_dir():
            _fetch(maven, folder)
    return folder


def _fetch(maven: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache()) as name:
        pom, output = Path(name, "pom.xml"), Path(name, "jars")
        pom.write_text(POM)
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={output}", "-DincludeScope=runtime"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=FETCH_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise KafkaUnavailable(f"Maven did not end within {FETCH_S:g} s") from None
        if done.returncode or not any(output.glob("kafka_*.jar")):
            said = (done.stdout + done.stderr).strip().splitlines()
            raise KafkaUnavailable(f"Maven could not fetch Kafka: {said[0] if said else '?'}")
        output.rename(folder)


@contextmanager
def locked(path: Path, timeout_s: float, *, shared: bool = False) -> Iterator[int]:
    """Hold the lock of a file; KafkaUnavailable when it is not free in time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        wait_for_lock(descriptor, timeout_s, shared=shared)
        yield descriptor
    finally:
        os.close(descriptor)


def wait_for_lock(descriptor: int, timeout_s: float, *, shared: bool = False) -> None:
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise KafkaUnavailable(f"another process held a lock for {timeout_s:g} s") from None
            time.sleep(0.05)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"Kafka {KAFKA_VERSION}: {jars()}\n")
    except KafkaUnavailable as error:
        sys.exit(str(error))
