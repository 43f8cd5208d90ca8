"""A restore that is to go wrong, and what has to be true of it then."""

from rig import repofiles
from rig.backrest import write_conf
from rig.matrix import FORMS
from rig.program import message

FORM = FORMS[4]      # zst, aes, bundle
FILES = FORMS[5]     # zst, plain, no bundle

# docs/errors.md
USAGE, UNAVAILABLE, NOT_FOUND, CORRUPT, UNSUPPORTED = 21, 22, 23, 24, 25
NOT_EMPTY, DENIED, SYSTEM, BUSY = 26, 28, 29, 30


class Case:
    """A repository of one's own to break, and a restore of two nodes from it."""

    def __init__(self, pgrevive, space, repo):
        self.pgrevive = pgrevive
        self.space = space
        self.repo = repo
        self.path = self.space / "repo"
        self.options = {"repo1-path": self.path, **repo.secrets()}
        self.nodes = {name: self.space / name for name in ("primary", "replica")}
        self.arguments = []
        self.stanza = "main"

    def own(self):
        repofiles.copy(self.repo.path, self.path)
        return self

    @property
    def backup(self):
        return self.path / "backup" / "main"

    def conf(self):
        return write_conf(self.space / "pgbackrest.conf", {
            "global": self.options, "main": {"pg1-path": "/nosuch"}})

    def run(self, **options):
        return self.pgrevive.restore(self.conf(), self.nodes, *self.arguments, check=False,
                                     stanza=self.stanza, tablespaces=self.space / "ts",
                                     timeout=180, **options)

    def refused(self, code, *words, hint=True, **options):
        result = self.run(**options)
        text = message(result)
        assert result.returncode == code, text
        assert "error: " in result.stderr, text
        for word in words:
            assert str(word) in result.stderr, f"no {word!r} in:\n{text}"
        if hint:
            assert "hint: " in result.stderr, text
        for secret in ("pass =#1' for tests", "tEstSecret"):
            assert secret not in text
        self.nothing_that_starts()
        return result

    def nothing_that_starts(self):
        for data in self.nodes.values():
            assert not (data / "global" / "pg_control").exists(), data
