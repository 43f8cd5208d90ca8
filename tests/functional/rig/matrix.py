"""Repositories in all the forms Debian's pgBackRest can write, from one living source."""

import dataclasses
import pathlib

from rig import repofiles
from rig.backrest import BackrestRepo, write_conf
from rig.postgres import SourceCluster

KINDS = ["full", "diff", "incr"]


@dataclasses.dataclass(frozen=True)
class Form:
    compress: str
    cipher: bool
    bundle: bool
    hardlink: bool = False

    @property
    def name(self):
        parts = [self.compress, "aes" if self.cipher else "plain",
                 "bundle" if self.bundle else "files"]
        return "-".join(parts + (["hardlink"] if self.hardlink else []))


# Every pair of values of compress, cipher and bundle occurs: each compress type meets both values
# of the other two, and the order alternates so that these meet in all four ways.
FORMS = [
    Form("gz", cipher=True, bundle=True),
    Form("gz", cipher=False, bundle=False, hardlink=True),
    Form("lz4", cipher=True, bundle=False),
    Form("lz4", cipher=False, bundle=True),
    Form("zst", cipher=True, bundle=True),
    Form("zst", cipher=False, bundle=False),
    Form("bz2", cipher=True, bundle=False),
    Form("bz2", cipher=False, bundle=True),
    Form("none", cipher=True, bundle=True),
    Form("none", cipher=False, bundle=False),
]

# What --thorough adds where a test goes through all forms; each value of each kind is in the others.
FURTHER = [FORMS[number].name for number in (2, 5, 7, 8)]


class Matrix:
    """Makes a repository when it is first asked for, and keeps it."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.source = SourceCluster(self.directory / "source").create().start().fill()
        self._repos = {}

    def repository(self, form):
        if form not in self._repos:
            self._repos[form] = self._make(form)
        return self._repos[form]

    def _make(self, form):
        source = self.source
        # A passphrase as people write them: blanks, an equals sign, a hash, a quote.
        repo = BackrestRepo(self.directory / form.name, source, compress=form.compress,
                            cipher_pass="pass =#1' for tests" if form.cipher else None,
                            bundle=form.bundle, hardlink=form.hardlink)
        repo.create_stanza()
        for kind in KINDS:
            repo.backup(kind)
            source.work()
            source.sql(f"""
create table t_{form.compress}_{form.cipher:d}{form.bundle:d}_{kind} as select generate_series(1, 2000) i;
update docs set body = body || 'x' where id % 50 = {KINDS.index(kind)};
""", "testdb")
            source.mark(f"{form.name}-{kind}")
        source.switch_wal()
        repo.leave()
        return repo.finished()

    def stop(self):
        self.source.stop()


def copied_repository(matrix, form, where):
    """The matrix' repository of that form, copied below `where` so that a test may change it: its
    path and a pgbackrest.conf for it."""
    repo = matrix.repository(form)
    path = repofiles.copy(repo.path, where / "repo")
    conf = write_conf(where / "pgbackrest.conf", {
        "global": {"repo1-path": path, **repo.secrets()},
        "main": {"pg1-path": matrix.source.data}})
    return path, conf
