"""A real S3-compatible server on loopback (moto's), and the environment that leads to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "corpus"


@contextmanager
def s3_server() -> Iterator[str]:
    """Serve one empty bucket for the time of the block; yields its URL, `s3://corpus`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            # MLflow remembers a client for minutes, and by this tells one server's from another's.
            "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        try:
            s3fs.S3FileSystem.clear_instance_cache()
            # The buckets of an earlier server of this process are there still.
            reset = Request(f"http://{host}:{port}/moto-api/reset", method="POST")
            build_opener(ProxyHandler({})).open(reset).close()
            s3fs.S3FileSystem().mkdir(BUCKET)
            yield f"s3://{BUCKET}"
        finally:
            server.stop()
            s3fs.S3FileSystem.clear_instance_cache()
