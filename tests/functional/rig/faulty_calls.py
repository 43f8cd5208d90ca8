"""Makes calls of the system fail in the processes of one cluster: tests/support/faulty_calls.c.

    calls = FaultyCalls(directory, cluster_root)
    env = calls.watched()                       # each call is written down
    ...
    env = calls.struck(Call("pwrite", "supervise", "@/primary/data/base/#/#"), nth=3,
                       what=errno.ENOSPC, then=DISK_FULL)
    ...                                         # a command with these variables, and all it starts
    assert calls.hits()

A file's name has '@' for the cluster's directory and '#' for each number. What is linked statically
(pgrevive-archive-get) has no such calls to take, and neither servers nor pgBackRest are touched.
"""

import dataclasses
import pathlib
import shutil

from rig.process import run
from rig.program import ROOT

SOURCE = ROOT / "tests" / "support" / "faulty_calls.c"


@dataclasses.dataclass(frozen=True)
class Call:
    function: str
    role: str   # of the process: start, supervise, prefetch, archive-get...
    name: str   # of the file; of the program, for execve; of the host, for getaddrinfo

    def __str__(self):
        return f"{self.function}|{self.role}|{self.name}"


class FaultyCalls:
    def __init__(self, directory, cluster_root):
        """Compiles it. `directory` has to be enterable for whoever the servers run as."""
        self._directory = pathlib.Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._root = cluster_root
        self._library = self._directory / "faulty_calls.so"
        if not self._library.exists():
            # Not bound at once: a server has no io_uring, and the library is loaded there too.
            run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,-z,lazy",
                 "-o", self._library, SOURCE, "-ldl"])
            self._library.chmod(0o755)

    def watched(self):
        """Variables with which each call is written down; see calls()."""
        return self._begin("trace")

    def struck(self, call, nth, what, then=()):
        """Variables with which the nth such call fails. `what`: an errno, "short" (half is written),
        "kill" (the process ends as by kill -9 there), "halt" (it goes no further), or "kill:FILE": not
        the call, but the process whose id FILE begins with. Afterwards each call of a function in `then` fails, in every
        process of the cluster."""
        return {**self._begin("hits"), "PGREVIVE_FAULT_POINT": str(call),
                "PGREVIVE_FAULT_NTH": nth, "PGREVIVE_FAULT_WHAT": what,
                "PGREVIVE_FAULT_THEN": "".join(f",{name}" for name in then) + ","}

    def calls(self):
        """All that were made since watched(), in order."""
        return [Call(*line.split("|", 2)) for line in self._lines("trace")]

    def lift(self):
        """From now on nothing fails any more, in processes that live already either."""
        with open(self._directory / "state", "r+b") as state:
            state.seek(16)  # behind matches and struck: see the library
            state.write(b"\1")

    def hits(self):
        return self._lines("hits")

    def _begin(self, file):
        for name in ("trace", "hits", "state"):
            path = self._directory / name
            path.unlink(missing_ok=True)
            if name in (file, "state"):
                path.write_bytes(b"\0" * 64 if name == "state" else b"")
                path.chmod(0o666)
        return {"LD_PRELOAD": self._library, "PGREVIVE_FAULT_DIR": self._directory,
                "PGREVIVE_FAULT_ROOT": self._root}

    def _lines(self, name):
        path = self._directory / name
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []

    def remove(self):
        shutil.rmtree(self._directory, ignore_errors=True)
