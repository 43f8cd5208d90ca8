"""Putting directories into buckets and looking at what is there, with s3cmd."""

import concurrent.futures
import pathlib
import re
import xml.etree.ElementTree

from rig import seals, signed
from rig.process import run

_VERSIONED = (b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
              b"<Status>Enabled</Status></VersioningConfiguration>")


class S3:
    """s3cmd set up for one gateway, with the keys of the user who has all that tests make, or with
    others."""

    def __init__(self, gateway, keys=None):
        self.gateway = gateway
        self.keys = access_key, secret_key = keys or (gateway.access_key, gateway.secret_key)
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
        """A bucket that forgets nothing: what is removed or written over leaves a version behind."""
        self._s3cmd("mb", f"s3://{bucket}")
        signed.request(self.gateway, self.keys, "PUT", f"/{bucket}", {"versioning": ""}, _VERSIONED)

    def upload(self, directory, bucket, prefix, workers=4, finished=True):
        """Uploads what lies below `directory` as prefix/..., symbolic links as nothing. It is a
        source, and sealed (rig/seals.py) where it is finished: of one that lives more comes later."""
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
        if finished:
            seals.seal_bucket(Versions(self.gateway), bucket, prefix)

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


class Versions:
    """Lists buckets with keys that can only read."""

    def __init__(self, gateway):
        self.gateway = gateway

    def __call__(self, bucket, prefix):
        """(key, version) to (ETag, size, time, whether it is the latest) of everything that was ever
        put below the prefix; a removal is a version without ETag."""
        found = {}
        more = {}
        while True:
            page = xml.etree.ElementTree.fromstring(signed.request(
                self.gateway, self.gateway.reader, "GET", f"/{bucket}",
                {"versions": "", "prefix": prefix, "max-keys": "1000", **more}))
            space = page.tag.removesuffix("ListVersionsResult")

            def text(element, name, space=space):
                return element.findtext(space + name, "")

            for element in page:
                if element.tag in (space + "Version", space + "DeleteMarker"):
                    found[text(element, "Key"), text(element, "VersionId")] = tuple(
                        text(element, name) for name in ("ETag", "Size", "LastModified", "IsLatest"))
            if text(page, "IsTruncated") != "true":
                return found
            more = {"key-marker": text(page, "NextKeyMarker"),
                    "version-id-marker": text(page, "NextVersionIdMarker")}


def source_values(bucket, prefix):
    """Settings of an .env that reach a repository in a bucket of a test gateway, with keys that can
    only read."""
    gateway = bucket.gateway
    return {"REPO_TYPE": "s3", "S3_BUCKET": bucket.name, "S3_ENDPOINT": gateway.endpoint,
            "S3_REGION": gateway.region, "S3_ACCESS_KEY": gateway.reader[0],
            "S3_SECRET_KEY": gateway.reader[1], "S3_PATH": f"/{prefix}", "S3_URI_STYLE": "path"}


def cluster_values(bucket, prefix):
    """The same, and keys with which the cluster's own archive is written beside it."""
    gateway = bucket.gateway
    seals.allow(bucket.name, f"{prefix}-")
    return {**source_values(bucket, prefix), "WAL_ARCHIVE_S3_ACCESS_KEY": gateway.access_key,
            "WAL_ARCHIVE_S3_SECRET_KEY": gateway.secret_key}
