"""Stores of objects for tests: fsspec's in memory, and a server of S3 on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

BUCKET = "recs"


@contextmanager
def memory_store() -> Iterator[MemoryFileSystem]:
    """Hold an empty store behind ``memory://``; only this process sees it."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()


@contextmanager
def s3_server() -> Iterator[Any]:
    """Serve S3 on the loopback, with an empty bucket; every process finds it by the environment."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    named = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key-of-the-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        # An earlier server of this process has left what it held, and its address in instances.
        urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        store = fsspec.filesystem("s3", use_listings_cache=False)
        store.mkdir(BUCKET)
        try:
            yield store
        finally:
            server.stop()
