"""Sources that are finished, and the proof that they stay as they are.

A seal remembers every byte of a repository once nothing of the tests has to write there any more.
It is looked at again when a cluster of it ends and when the place itself goes away: a restore that
wrote into its source, even to clean up behind itself, fails the run.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import stat

from rig.process import Failed


def _files(root):
    """Relative path to what a stat tells of every file and directory below root."""
    found = {}
    places = [""]
    while places:
        place = places.pop()
        with os.scandir(os.path.join(root, place)) as entries:
            for entry in entries:
                name = place + entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # a segment that has got its name just now
                # A directory's time changes when something is made in it and removed again.
                found[name] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_uid)
                if stat.S_ISDIR(status.st_mode):
                    places.append(name + "/")
    return found


def _contents(root, files):
    digests = {}
    for name, (mode, *_) in files.items():
        if stat.S_ISREG(mode):
            with open(os.path.join(root, name), "rb", buffering=0) as file:
                digest = hashlib.sha1()
                while block := file.read(1 << 20):
                    digest.update(block)
                digests[name] = digest.digest()
    return digests


def _differences(before, now):
    lines = [f"{name}: gone" for name in before.keys() - now.keys()]
    lines += [f"{name}: new" for name in now.keys() - before.keys()]
    lines += [f"{name}: {before[name]} before, {now[name]} now"
              for name in before.keys() & now.keys() if before[name] != now[name]]
    return sorted(lines)


@dataclasses.dataclass
class DirectorySeal:
    path: pathlib.Path

    def __post_init__(self):
        self.files = _files(self.path)
        self.digests = _contents(self.path, self.files)

    @property
    def name(self):
        return str(self.path)

    def differences(self, thorough):
        """What has changed. Contents are read only where asked for; a stat tells most."""
        if not self.path.is_dir():
            return ["gone"]
        now = _files(self.path)
        lines = _differences(self.files, now)
        if thorough and not lines:
            lines = _differences(self.digests, _contents(self.path, now))
        return lines


@dataclasses.dataclass
class BucketSeal:
    """All versions of all objects below a prefix. `versions` lists them: rig.s3.Versions."""

    versions: object
    bucket: str
    prefix: str

    def __post_init__(self):
        self.objects = self.versions(self.bucket, self.prefix)

    @property
    def name(self):
        return f"s3://{self.bucket}/{self.prefix}"

    def differences(self, _thorough):
        return _differences(self.objects, self.versions(self.bucket, self.prefix))


# A segment of timeline 1 as pgBackRest stores it, and the directory it lies in.
_SEGMENT = r"archive/[^/]+/[^/]+/00000001[0-9A-F]{8}(/00000001[0-9A-F]{16}-[0-9a-f]{40}\S*)?"


class LivingSeal(DirectorySeal):
    """Of a source that goes on: its own timeline 1 grows by segments; nothing else may be new, and what
    was there stays as it is. What was written and removed again is seen by the directory's time,
    outside of where the source itself writes."""

    def __init__(self, path, *, new, changed):
        self.new = re.compile(f"{_SEGMENT}|{new}" if new else _SEGMENT)
        self.changed = re.compile(changed)
        super().__init__(path)

    def __post_init__(self):
        self.files = self._to_stay()
        self.digests = _contents(self.path, self.files)

    def _to_stay(self):
        return {name: entry for name, entry in _files(self.path).items()
                if not name.endswith(".pgbackrest.tmp") and not self.changed.fullmatch(name)}

    def differences(self, thorough):
        now = {name: entry for name, entry in self._to_stay().items()
               if name in self.files or not self.new.fullmatch(name)}
        for name in now.keys() & self.files.keys():
            if stat.S_ISDIR(now[name][0]) and self._grows(name):
                now[name] = self.files[name]
        lines = _differences(self.files, now)
        if thorough and not lines:
            lines = _differences(self.digests, _contents(self.path, now))
        return lines

    def _grows(self, name):
        """Whether the source itself makes something in that directory."""
        return bool(self.new.fullmatch(name)) or bool(self.new.fullmatch(
            f"{name}/0000000100000000")) or bool(self.changed.fullmatch(name))


_seals = []
_allowed = set()  # (bucket, beginning of keys) of what clusters may write


def seal_directory(path):
    """Nothing may change below `path` from now on."""
    _seals.append(DirectorySeal(pathlib.Path(path)))


def seal_living(path, *, new="", changed=""):
    """The source in `path` goes on, and is on timeline 1. `new` (a pattern of relative paths) is what a
    test has others add there, `changed` what they may change."""
    end(path)
    _seals.append(LivingSeal(pathlib.Path(path), new=new, changed=changed))


def end(path):
    """Proves the source in `path` for the last time, if it is sealed."""
    _end([seal for seal in _seals if isinstance(seal, DirectorySeal)
          and seal.path == pathlib.Path(path)])


def seal_bucket(versions, bucket, prefix):
    """Nor below that path in a bucket; beside it only what is allowed."""
    _seals.append(BucketSeal(versions, bucket, _folder(prefix)))


def allow(bucket, beginning):
    """Clusters of tests have archives of their own there, in a bucket with a source."""
    _allowed.add((bucket, beginning))


def _folder(prefix):
    return f"{prefix.strip('/')}/".lstrip("/")


def _prove(seals, thorough):
    for seal in seals:
        if lines := seal.differences(thorough):
            raise Failed(f"the source in {seal.name} has been written to:\n"
                         + "\n".join(lines[:20]))


def prove_source(values):
    """Of the source that an .env's settings name, where that is sealed."""
    if values.get("REPO_TYPE") == "posix":
        seals = [seal for seal in _seals if isinstance(seal, DirectorySeal)
                 and str(seal.path) == str(values.get("REPO_PATH"))]
    else:
        seals = [seal for seal in _seals if isinstance(seal, BucketSeal)
                 and seal.bucket == values.get("S3_BUCKET")
                 and seal.prefix == _folder(values.get("S3_PATH", ""))]
    _prove(seals, thorough=False)


def prove_below(directory):
    """Of every source below a directory that is about to go; its seals go with it."""
    _end([seal for seal in _seals if isinstance(seal, DirectorySeal)
          and pathlib.Path(directory) in seal.path.parents])


def prove_bucket(gateway, bucket):
    """Of every source in it, and that nothing else is there that nobody said would be."""
    seals = [seal for seal in _of(gateway) if seal.bucket == bucket]
    _end(seals)
    known = tuple({seal.prefix for seal in seals}
                  | {beginning for name, beginning in _allowed if name == bucket})
    strays = {key for key, _ in seals[0].versions(bucket, "") if not key.startswith(known)}
    if strays:
        raise Failed(f"nobody said that the bucket {bucket} would hold {sorted(strays)[:20]}")


def prove_buckets(gateway):
    """Before the service goes."""
    for bucket in {seal.bucket for seal in _of(gateway)}:
        prove_bucket(gateway, bucket)


def _of(gateway):
    return [seal for seal in _seals if isinstance(seal, BucketSeal)
            and seal.versions.gateway is gateway]


def _end(seals):
    for seal in seals:
        _seals.remove(seal)
    _prove(seals, thorough=True)
