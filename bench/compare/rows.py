"""What is compared: a backup, the storage it is read from, and the file system of the targets."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Form:
    """How a backup is stored."""

    compress: str
    bundle: bool = False
    block: bool = False  # block incremental
    cipher: bool = False

    @property
    def words(self):
        return ([self.compress] + ["bundle"] * self.bundle + ["block"] * self.block
                + ["aes"] * self.cipher)

    @property
    def name(self):
        return "-".join(self.words)


@dataclasses.dataclass(frozen=True)
class Row:
    storage: str   # local, or s3: Ceph RGW over TLS that answers after 41 ms, as one far away does
    targets: str   # disk, disks, tmpfs, xfs or btrfs; see targets.py
    data: str      # a data set of sources.py, or fixture: an incremental backup that lies ready
    form: Form
    wanted: str = ""     # what is to be reached, in words
    extra: bool = False  # only where it is asked for

    @property
    def words(self):
        return [self.storage, self.targets, self.data] + self.form.words

    @property
    def name(self):
        return " ".join(self.words)


def _local(targets, wanted):
    return [Row("local", targets, "events", Form(compress), f"{ratio} x")
            for compress, ratio in wanted.items()]


ROWS = [
    Row("s3", "disk", "fixture", Form("zst", bundle=True, block=True, cipher=True), "15 x"),
    Row("s3", "disk", "fixture", Form("lz4", bundle=True, block=True), extra=True),
    Row("s3", "disk", "small", Form("zst"), "15 x"),
    Row("s3", "disk", "small", Form("zst", bundle=True, cipher=True), "faster"),
    Row("s3", "disk", "mix", Form("gz"), "6 x"),
    Row("s3", "disk", "mix", Form("zst"), "7 x"),
    Row("s3", "disk", "mix", Form("zst", bundle=True), extra=True),
    *_local("disk", {"gz": 3.4, "zst": 2.5, "lz4": 2.1, "none": 1.9}),
    *_local("disks", {"gz": 4, "zst": 2.6, "lz4": 3.3, "none": 2.8}),
    *_local("tmpfs", {"gz": 4, "zst": 2.6, "lz4": 3.3, "none": 2.8}),
    Row("local", "tmpfs", "events", Form("zst", bundle=True), extra=True),
    Row("local", "tmpfs", "events", Form("gz", cipher=True), extra=True),
    Row("local", "disk", "mix", Form("gz"), extra=True),
    Row("local", "disk", "mix", Form("zst"), extra=True),
    Row("local", "disk", "mix", Form("lz4"), extra=True),
    Row("local", "disk", "mix", Form("none"), extra=True),
    Row("local", "xfs", "events", Form("zst"), "2 nodes in 1.1 x of 1"),
    Row("local", "btrfs", "events", Form("zst"), "2 nodes in 1.1 x of 1"),
    Row("local", "xfs", "events", Form("none"), extra=True),
    Row("local", "tmpfs", "segment", Form("bz2"), "on all cores"),
    Row("local", "disk", "events", Form("bz2"), extra=True),
]


def choose(patterns):
    """Those whose name has all the words of one of the patterns; without any, the usual ones."""
    if not patterns:
        return [row for row in ROWS if not row.extra]
    wanted = [set(pattern.split("+")) for pattern in patterns]
    known = {word for row in ROWS for word in row.words}
    for word in sorted(set().union(*wanted) - known):
        raise SystemExit(f"compare: no row has the word '{word}'; --list shows them")
    return [row for row in ROWS if any(words <= set(row.words) for words in wanted)]
