"""pgBackRest: making repositories with it, and asking it for the truth about them."""

import json
import pathlib

from rig import seals
from rig.postgres import server_user
from rig.process import run
from rig.workspace import give

PACKAGES = ["pgbackrest"]


def write_conf(path, sections):
    """A pgbackrest.conf that only its owner reads. `sections`: {"global": {"repo1-path": ...}}."""
    path = pathlib.Path(path)
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key}={value}" for key, value in options.items()]
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    path.chmod(0o600)
    give(path, server_user())
    return path


def s3_options(gateway, bucket, path):
    """How to reach a copy in a bucket, so that pgBackRest 2.45 can too: it takes no address in a
    certificate. With keys that can only read."""
    return {"repo1-type": "s3", "repo1-path": f"/{path.strip('/')}", "repo1-s3-bucket": bucket,
            "repo1-s3-endpoint": gateway.domain, "repo1-storage-port": gateway.port,
            "repo1-s3-region": gateway.region, "repo1-s3-key": gateway.reader[0],
            "repo1-s3-key-secret": gateway.reader[1], "repo1-s3-uri-style": "path",
            "repo1-storage-ca-file": gateway.ca_file}


class BackrestRepo:
    """One repository of one source, in a directory of its own.

    `options` are pgBackRest's for section [global], `stanza_options` those for the stanza's; `conf`
    is the file that both tools read.
    """

    stanza = "main"

    def __init__(self, directory, source, *, compress="gz", cipher_pass=None, bundle=False,
                 hardlink=False, options=None, stanza_options=None):
        self.directory = pathlib.Path(directory)
        self.source = source
        self.compress = compress
        self.cipher_pass = cipher_pass
        self.bundle = bundle
        self.hardlink = hardlink
        self.stanza_options = stanza_options or {}
        self.labels = []
        self.path = self.directory / "repo"
        self.user = server_user()
        for path in (self.directory, self.path, self.directory / "lock", self.directory / "log",
                     self.directory / "spool"):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755)
            give(path, self.user)
        options = {"repo1-path": self.path, **self._forms(), **(options or {})}
        self.conf = self.write_conf("pgbackrest.conf", options)

    def _forms(self):
        options = {"compress-type": self.compress}
        if self.bundle:
            # Small bundles, so that there are several.
            options.update({"repo1-bundle": "y", "repo1-bundle-size": "1MiB",
                            "repo1-bundle-limit": "256KiB"})
        if self.hardlink:
            options["repo1-hardlink"] = "y"
        options.update(self.secrets())
        return options

    def secrets(self):
        if self.cipher_pass is None:
            return {}
        return {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": self.cipher_pass}

    def write_conf(self, name, options):
        """Another configuration file for this source, say one that reaches a copy in a bucket."""
        return write_conf(self.directory / name, {
            "global": {"process-max": 2, "start-fast": "y", "log-level-console": "warn",
                       "log-level-file": "off", "lock-path": self.directory / "lock",
                       "log-path": self.directory / "log", "spool-path": self.directory / "spool",
                       "archive-timeout": 30, **options},
            self.stanza: {"pg1-path": self.source.data, "pg1-port": self.source.port,
                          "pg1-socket-path": self.source.sockets, "pg1-user": self.source.superuser,
                          **self.stanza_options}})

    def s3_options(self, gateway, bucket, path):
        return {**s3_options(gateway, bucket, path), **self.secrets()}

    def pgbackrest(self, *arguments, conf=None, user=True, timeout=300, check=True):
        return run(["pgbackrest", f"--config={conf or self.conf}", f"--stanza={self.stanza}",
                    *arguments], user=self.user if user is True else user, timeout=timeout,
                   check=check)

    def create_stanza(self):
        self.pgbackrest("stanza-create")
        (self.source.archive_to / f"{self.directory.name}.conf").symlink_to(self.conf)
        return self

    def leave(self):
        """The source archives its WAL here no more."""
        (self.source.archive_to / f"{self.directory.name}.conf").unlink()

    def finished(self):
        """Nobody writes here any more; rig/seals.py sees to it."""
        seals.seal_directory(self.path)
        return self

    def backup(self, kind, *options):
        """Takes a backup, under load where the source can have it; returns its label."""
        with self.source.under_load():
            self.pgbackrest(f"--type={kind}", "--no-expire-auto", "--repo1-retention-full=9",
                            *options, "backup")
        label = self.info()[0]["backup"][-1]["label"]
        self.labels.append(label)
        return label

    def info(self, conf=None):
        return json.loads(self.pgbackrest("--output=json", "info", conf=conf).stdout)

    def restore(self, label, data, tablespaces, *, conf=None, user=True, jobs=2):
        """The oracle: what pgBackRest itself makes of a backup, without recovery settings."""
        data = pathlib.Path(data)
        for path in (data, pathlib.Path(tablespaces)):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
            give(path, self.user if user is True else user)
        self.pgbackrest(f"--pg1-path={data}", f"--tablespace-map-all={tablespaces}",
                        f"--set={label}", "--type=none", f"--process-max={jobs}", "restore",
                        conf=conf, user=None if user is True else user)
        return data

