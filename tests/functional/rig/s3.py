"""Putting directories into buckets and looking at what is there, with s3cmd."""

import concurrent.futures
import pathlib
import re

from rig.process import run


class S3:
    """s3cmd set up for one gateway, with the keys of the user who has all that tests make, or with
    others."""

    def __init__(self, gateway, keys=None):
        access_key, secret_key = keys or (gateway.access_key, gateway.secret_key)
        self.config = pathlib.Path(gateway.directory) / f"s3cfg-{access_key}"
        self.config.write_text(f"""[default]
access_key = {access_key}
secret_key = {secret_key}
host_base = 127.0.0.1:{gateway.port}
host_bucket = 127.0.0.1:{gateway.port}
bucket_location = {gateway.region}
use_https = True
ca_certs_file = {gateway.ca_file}
signature_v2 = False
preserve_attrs = False
progress_meter = False
guess_mime_type = False
default_mime_type = binary/octet-stream
""")
        self.config.chmod(0o600)

    def _s3cmd(self, *arguments, timeout=600):
        return run(["s3cmd", "-c", self.config, *arguments], timeout=timeout).stdout

    def make_bucket(self, bucket):
        self._s3cmd("mb", f"s3://{bucket}")

    def upload(self, directory, bucket, prefix, workers=4):
        """Uploads what lies below `directory` as prefix/..., symbolic links as nothing."""
        directory = pathlib.Path(directory)
        files = sorted(str(path.relative_to(directory)) for path in directory.rglob("*")
                       if path.is_file() and not path.is_symlink())
        target = f"s3://{bucket}/{prefix.strip('/')}/".replace("//", "/").replace(":/", "://")

        # One s3cmd sends one object after the other; a few side by side keep the gateway busy.
        def send(part):
            listing = "".join(f"{name}\n" for name in part)
            run(["s3cmd", "-c", self.config, "sync", "--no-check-md5", "--no-delete-removed",
                 "--files-from=-", f"{directory}/", target],
                input=listing, timeout=900)

        parts = [files[i::workers] for i in range(workers) if files[i::workers]]
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            list(pool.map(send, parts))

    def put(self, path, bucket, key):
        self._s3cmd("put", path, f"s3://{bucket}/{key}")

    def get(self, bucket, key, path):
        self._s3cmd("get", "--force", f"s3://{bucket}/{key}", path)

    def remove(self, bucket, key):
        self._s3cmd("del", f"s3://{bucket}/{key}")

    def listing(self, bucket, prefix=""):
        """Key to (size, MD5) of everything in the bucket below the prefix."""
        text = self._s3cmd("ls", "--recursive", "--list-md5", f"s3://{bucket}/{prefix}")
        result = {}
        for line in text.splitlines():
            match = re.match(r"\S+ \S+\s+(\d+)\s+(\S+)\s+s3://[^/]+/(.*)$", line)
            if match:
                result[match[3]] = (int(match[1]), match[2])
        return result


def cluster_values(bucket, prefix):
    """Settings of an .env that reach a repository in a bucket of a test gateway."""
    gateway = bucket.gateway
    return {"REPO_TYPE": "s3", "S3_BUCKET": bucket.name, "S3_ENDPOINT": gateway.endpoint,
            "S3_REGION": gateway.region, "S3_ACCESS_KEY": gateway.access_key,
            "S3_SECRET_KEY": gateway.secret_key, "S3_PATH": f"/{prefix}", "S3_URI_STYLE": "path"}
