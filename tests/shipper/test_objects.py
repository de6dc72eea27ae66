"""Sealed segments as objects: in a directory, in memory, and on a server that speaks S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
import zstandard
from moto.server import ThreadedMotoServer
from obstore.store import MemoryStore

from gateway.config import Secret
from gateway.config.recording import Objects
from gateway.log.sealer import Sealer
from gateway.shipper.objects import ObjectsSink, options_of
from gateway.shipper.sink import Batch, SinkError
from tests.shipper.segments import SegmentWriter

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    writer = SegmentWriter(tmp_path / "log")
    for _ in range(50):
        writer.append()
    writer.close()
    (sealed,) = Sealer(tmp_path / "log").seal_ready()
    return Batch(
        stream=writer.stream,
        segment=sealed.segment,
        records=sealed.records,
        first_seq=1,
        last_seq=50,
        path=tmp_path / "log" / sealed.segment,
    )


def segment_of(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(content)


async def test_segment_is_a_file(tmp_path: Path, batch: Batch) -> None:
    sink = ObjectsSink(Objects(url=f"file://{tmp_path}/objects"), "berlin")
    for _ in range(2):
        await sink.deliver(batch)
    assert batch.path is not None
    (path,) = (each for each in (tmp_path / "objects").rglob("*") if each.is_file())
    assert path == tmp_path / "objects" / "berlin" / f"{batch.segment}.zst"
    assert segment_of(path.read_bytes()) == batch.path.read_bytes()


async def test_segment_is_an_object_in_memory(batch: Batch) -> None:
    store = MemoryStore()
    await ObjectsSink(Objects(url="memory://"), "", store=store).deliver(batch)
    assert batch.path is not None
    content = bytes(store.get(f"{batch.segment}.zst").bytes())
    assert segment_of(content) == batch.path.read_bytes()


async def test_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path, batch: Batch) -> None:
    (tmp_path / "objects").touch()
    with pytest.raises(SinkError, match="objects"):
        await ObjectsSink(Objects(url=f"file://{tmp_path}/objects/below"), "").deliver(batch)


def test_url_of_an_unknown_kind_is_a_sentence() -> None:
    with pytest.raises(SinkError, match="cannot use the objects' url"):
        ObjectsSink(Objects(url="gopher://x/y"), "")


async def test_segment_that_was_dropped_is_a_sentence(tmp_path: Path, batch: Batch) -> None:
    assert batch.path is not None
    batch.path.unlink()
    with pytest.raises(SinkError, match="No such file"):
        await ObjectsSink(Objects(url="memory://"), "").deliver(batch)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of a server with one bucket, `records`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client_of(endpoint).create_bucket(Bucket="records")
    yield endpoint
    server.stop()


def client_of(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )


def s3_config(endpoint: str, bucket: str = "records") -> Objects:
    return Objects(
        url=f"s3://{bucket}/gateway", endpoint=endpoint, key=Secret(KEY), secret=Secret(SECRET)
    )


async def test_segment_is_an_object_of_s3(s3: str, batch: Batch) -> None:
    sink = ObjectsSink(s3_config(s3), "berlin")
    for _ in range(2):
        await sink.deliver(batch)
    client = client_of(s3)
    (listed,) = client.list_objects_v2(Bucket="records")["Contents"]
    assert listed["Key"] == f"gateway/berlin/{batch.segment}.zst"
    content = client.get_object(Bucket="records", Key=listed["Key"])["Body"].read()
    assert batch.path is not None
    expected = hashlib.sha256(batch.path.read_bytes()).hexdigest()
    assert hashlib.sha256(segment_of(content)).hexdigest() == expected


async def test_bucket_that_is_not_there_is_a_sentence(s3: str, batch: Batch) -> None:
    with pytest.raises(SinkError, match="cannot put an object") as caught:
        await ObjectsSink(s3_config(s3, "nothing"), "").deliver(batch)
    assert SECRET not in str(caught.value)
    assert KEY not in str(caught.value)


async def test_server_that_is_away_is_a_sentence(batch: Batch) -> None:
    with pytest.raises(SinkError, match="cannot put an object"):
        await ObjectsSink(s3_config("http://127.0.0.1:9"), "").deliver(batch)


def test_plain_http_is_spoken_only_where_the_endpoint_says_so() -> None:
    assert options_of(s3_config("http://x"))["client_options"] == {"allow_http": True}
    assert options_of(s3_config("https://x"))["client_options"] == {"allow_http": False}
    assert "client_options" not in options_of(Objects(url="s3://bucket"))
