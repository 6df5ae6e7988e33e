"""Paints the pictures of the demo, and puts them and the demo's models into the bucket.

Run again, it does nothing: an object that would be put anew would be another image to a job, which would begin afresh.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ.get("BUCKET", "marquetry")
PREFIX = "demo"
MODELS = pathlib.Path(os.environ.get("MODELS", "/demo/models"))
PAINTER = os.environ.get("PAINTER", "marquetry-devtools")
# The seeds are those of `cargo xtask demo`: no training picture was painted with them.
SETS = [
    ("small", ["--count", "24", "--seed", "2", "--size", "384x384"]),
    ("large", ["--count", "1", "--seed", "6", "--size", "4096x4096"]),
]


def main() -> None:
    style = {"addressing_style": "path"}
    s3 = boto3.client("s3", config=Config(s3=style, retries={"mode": "standard", "max_attempts": 8}))
    make_bucket(s3)
    there = {
        found["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/")
        for found in page.get("Contents", [])
    }
    # Put last, so that it stands for all the rest.
    done = f"{PREFIX}/complete"
    if done in there:
        print(f"s3://{BUCKET}/{PREFIX}/ is complete")
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {f"{PREFIX}/models/{path.name}": path for path in sorted(MODELS.glob("*.onnx"))}
        for name, options in SETS:
            out = pathlib.Path(folder, name)
            subprocess.run([PAINTER, "scenes", "--folds", "0", "--out", out, *options], check=True)
            for path in sorted(out.glob("images/*.png")):
                files[f"{PREFIX}/images/{name}/{path.name}"] = path
        for key, path in files.items():
            if key not in there:
                s3.upload_file(str(path), BUCKET, key)
    s3.put_object(Bucket=BUCKET, Key=done, Body=b"")
    print(f"put {len(files)} files into s3://{BUCKET}/{PREFIX}/")


def make_bucket(s3) -> None:
    try:
        s3.create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            sys.exit(f"cannot make the bucket {BUCKET}: {error}")


if __name__ == "__main__":
    main()
