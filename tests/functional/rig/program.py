"""The program under test."""

import os
import pathlib
import shutil

from rig.process import Daemon, Failed, run

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Program:
    """A copy of pgrevive where every user of the tests may run it, as an installed one would be;
    `alone`: without archive-get's client, and so without any prefetcher."""

    def __init__(self, directory, alone=False):
        built = pathlib.Path(os.environ.get("PGREVIVE_PROGRAM", ROOT / "build/release/pgrevive"))
        if not built.exists():
            raise Failed(f"no {built}: build it with 'cmake --workflow --preset release', or name "
                         "another in PGREVIVE_PROGRAM")
        self.path = pathlib.Path(directory) / "pgrevive"
        # archive-get's client lies beside the program, as it does where it is installed.
        self.archive_get = self.path.with_name("pgrevive-archive-get")
        for source, copy in ((built, self.path),
                             (built.with_name(self.archive_get.name), self.archive_get)):
            if source.exists() and not (alone and copy == self.archive_get):
                shutil.copy(source, copy)
                copy.chmod(0o755)

    def __call__(self, *arguments, check=True, timeout=120, **options):
        """Runs it to its end. With check=False the caller looks at the exit code."""
        return run([self.path, *arguments], check=check, timeout=timeout, **options)

    def launch(self, *arguments, log, **options):
        return Daemon([self.path, *arguments], log, **options)

    def restore(self, conf, nodes, *arguments, tablespaces=None, stanza="main", **options):
        """`nodes`: {"primary": directory}. Recovery settings only if arguments name a --type."""
        command = ["restore", "--config", conf, "--stanza", stanza]
        for name, directory in nodes.items():
            command += ["--node", f"{name}={directory}"]
        if tablespaces is not None:
            command += ["--tablespace-map-all", tablespaces]
        if not any(str(a).startswith("--type") for a in arguments):
            command += ["--type", "none"]
        return self(*command, *arguments, **options)


def message(result):
    """What a failed command told its user."""
    return result.stderr + result.stdout
