"""Repositories that a newer pgBackRest made, with what its own restore gave.

Block incremental, raw bundles and PostgreSQL 16 to 18 are beyond Debian's pgBackRest. All but one of
the archives are part of this tree; that one is looked for in PGREVIVE_FIXTURES or in ../shared/fixtures
beside it.
"""

import dataclasses
import json
import os
import pathlib

from rig.backrest import write_conf
from rig.process import run
from rig.program import ROOT
from rig.workspace import give

OWN = ROOT / "tests" / "data" / "repositories"
ELSEWHERE = pathlib.Path(os.environ.get("PGREVIVE_FIXTURES", ROOT.parent / "shared" / "fixtures"))

# Archive to (PostgreSQL, cipher passphrase).
ALL = {
    "pg15-lz4-bundle-block": (15, None),
    "pg15-zst-bundle-block-aes": (15, "fixture-pass-15"),
    "pg16-none-bundle-block": (16, None),
    "pg17-none-bundle-block": (17, None),
    "pg18-gz-bundle-block-aes": (18, "fixture-pass-18"),
}
KINDS = ["full", "diff", "incr"]

# What a recovery of one of them is asked afterwards; expect.tsv has the answers.
QUERY = """select (select count(*) from markers),
 (select what from markers order by id desc limit 1), (select count(*) from pgbench_accounts),
 (select md5(string_agg(abalance::text||aid::text, ',' order by aid))
    from pgbench_accounts where abalance<>0),
 (select count(*) from docs), (select count(*) from fast_t)"""


def find(name):
    """The archive file, or None where this checkout has none."""
    for directory in (OWN, ELSEWHERE):
        path = directory / f"{name}.tar.zst"
        if path.exists():
            return path
    return None


@dataclasses.dataclass
class Fixture:
    name: str
    directory: pathlib.Path
    major: int
    cipher_pass: str | None

    @classmethod
    def unpack(cls, name, directory):
        archive = find(name)
        run(["tar", "--zstd", "--no-same-owner", "-xf", archive, "-C", directory])
        major, cipher_pass = ALL[name]
        self = cls(name, pathlib.Path(directory) / name, major, cipher_pass)
        more = archive.with_name(f"{name}.wal.tar")
        if more.exists():
            run(["tar", "--no-same-owner", "-xf", more, "-C", self.directory])
        run(["chmod", "-R", "a+rX", self.directory])
        return self

    @property
    def repo(self):
        return self.directory / "repo"

    @property
    def labels(self):
        """Of the full, the differential and the incremental backup."""
        return sorted(path.stem for path in (self.directory / "oracle").glob("*.sha256"))

    def label(self, kind):
        return self.labels[KINDS.index(kind)]

    def hashes(self, label):
        """Path as tree.data_directory() names it to SHA-256."""
        result = {}
        for line in (self.directory / "oracle" / f"{label}.sha256").read_text().splitlines():
            digest, path = line.split("  ", 1)
            result[path.removeprefix("./")] = digest
        return result

    def info(self):
        return json.loads((self.directory / "info.json").read_text())

    def expectations(self):
        """(recovery type, target, answer to QUERY) of each recorded recovery."""
        for line in (self.directory / "expect.tsv").read_text().splitlines():
            target, answer = line.split("\t")
            kind, value = target.split(":", 1)
            yield ("default" if kind == "latest" else kind), value, answer

    def conf(self, path, options=None, owner=None):
        secrets = {} if self.cipher_pass is None else {
            "repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": self.cipher_pass}
        path = write_conf(path, {"global": {
            "repo1-path": self.repo, "log-level-file": "off", **secrets, **(options or {})},
            "main": {"pg1-path": self.directory / "nowhere"}})
        give(path, owner)
        return path
