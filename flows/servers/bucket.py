"""Make a bucket of the object storage that the environment names, unless it is there.

python -m flows.servers.bucket NAME
"""

from __future__ import annotations

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_PATIENCE_S = 60.0
_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def make_bucket(name: str, endpoint: str) -> None:
    """Make it as soon as the server answers.

    Raises:
        ClientError: the server refuses, e.g. the key.
        BotoCoreError: it does not answer for a minute.
    """
    # One address for all buckets: no name of a host is made of theirs.
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    client = boto3.client("s3", endpoint_url=endpoint, config=config)
    ends_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _THERE:
                raise
        except BotoCoreError:
            if time.monotonic() > ends_s:
                raise
            time.sleep(0.5)
            continue
        return


def main() -> int:
    """The command line."""
    endpoint = os.environ["MLFLOW_S3_ENDPOINT_URL"]
    try:
        make_bucket(sys.argv[1], endpoint)
    except (BotoCoreError, ClientError) as error:
        print(f"{endpoint}: no bucket {sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
