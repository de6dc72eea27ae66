"""The sink that keeps sealed segments as objects, compressed with zstd.

An object is `<prefix>/<gateway>/<segment>.zst`: the bytes of the segment, whose SHA-256 is
in the manifest. Put twice, it is the same object. `obstore` speaks to file systems, S3 and
what is compatible with it, Google Cloud Storage and Azure; it is not needed without this
sink and is therefore imported here only.

Rule 1: an object is there whole or not at all.
Rule 2: neither key nor secret is in a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
import zstandard
from obstore.exceptions import BaseError
from obstore.store import from_url

from gateway.config.recording import Objects
from gateway.shipper.sink import Batch, SinkError
from gateway.telemetry import redacted
from gateway.threads import in_thread

LEVEL = 3
PUT_S = 300.0  # a segment of 64 MiB over a slow line
RETRIES = 2  # the shipper retries by itself, forever


class ObjectsSink:
    """Puts each sealed segment under the configured URL."""

    name = "objects"
    sealed_only = True
    batch_bytes = 0
    linger_s = 1.0
    dead_letters = 0

    def __init__(self, config: Objects, gateway: str, *, store: Any = None) -> None:
        self._prefix = f"{gateway}/" if gateway else ""
        self._root = _local_root(config.url)
        try:
            self._store = store or from_url(config.url, **options_of(config))
        except (BaseError, ValueError, OSError) as error:
            raise SinkError(f"cannot use the objects' url: {_first_line(error)}") from None

    async def deliver(self, batch: Batch) -> None:
        path = batch.path
        if path is None:
            raise SinkError("objects are made of sealed segments only")
        try:
            content = await in_thread(functools.partial(compressed, path), name="zstd")
            key = f"{self._prefix}{batch.segment}.zst"
            async with asyncio.timeout(PUT_S):
                await obstore.put_async(self._store, key, content)
            if self._root is not None:
                await in_thread(functools.partial(_sync, self._root / key), name="objects-sync")
        except TimeoutError:
            raise SinkError(f"an object was not put within {PUT_S:.0f} s") from None
        except (BaseError, OSError) as error:
            raise SinkError(f"cannot put an object: {_first_line(error)}") from None

    async def close(self, deadline_s: float) -> None:
        pass


def compressed(path: Path) -> bytes:
    """The file as one zstd frame with size and checksum."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    into = io.BytesIO()
    with path.open("rb") as file:
        compressor.copy_stream(file, into, size=os.fstat(file.fileno()).st_size)
    return into.getvalue()


def options_of(config: Objects) -> dict[str, Any]:
    """The configuration in the words of obstore."""
    retries = {"retry_config": {"max_retries": RETRIES}}
    if not config.url.startswith(("s3:", "s3a:")):
        if config.url.startswith("memory:"):
            return {}
        return {"mkdir": True, "automatic_cleanup": False} if _local_root(config.url) else retries
    options: dict[str, Any] = dict(retries)
    if config.key:
        options |= {
            "access_key_id": config.key.reveal(),
            "secret_access_key": config.secret.reveal(),
        }
    if config.endpoint:
        options |= {"endpoint": config.endpoint, "virtual_hosted_style_request": False}
        options["client_options"] = {"allow_http": config.endpoint.startswith("http:")}
    return options


def _local_root(url: str) -> Path | None:
    """The directory of a `file:` URL."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _sync(path: Path) -> None:
    """Bring a file and its name to the disk."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            os.fsync(descriptor)


def _first_line(error: Exception) -> str:
    return redacted(str(error).strip().partition("\n")[0])[:300]
