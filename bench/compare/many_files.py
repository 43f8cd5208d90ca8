"""A repository whose only backup has very many small files.

To make such a database would take hours. So pgBackRest backs up an empty cluster, and databases
full of small relations are then written into that backup: the files into bundles (or each into an
object of its own), an entry for each into the manifest, and the checksums anew. Both programs
restore it as they do any other.
"""

import dataclasses
import hashlib
import json
import os
import random
import shutil
import subprocess

from rig.backrest import BackrestRepo

from compare.sources import Source

BLOCK = 4096  # no file takes more of a file system

_BUNDLE_SIZE = 20 << 20  # as large as pgBackRest makes them
_FIRST_OID = 100_000     # of databases and of relations; the empty cluster has none so large
_KINDS = 64              # of content
_EMPTY = 5               # each fifth file is empty, as there are tables without rows


def _escaped(key):
    """A key as the checksum of an info file is made of it (docs/format/info_file.md)."""
    return json.dumps(key, ensure_ascii=False)


class InfoFile:
    """backup.manifest: sections of keys and of JSON text, which is kept as it is."""

    def __init__(self, path):
        self.path = path
        self.sections = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("[") and line.endswith("]"):
                section = self.sections.setdefault(line[1:-1], {})
            elif line:
                key, _, value = line.partition("=")
                section[key] = value

    def write(self):
        """Writes it and its copy, in order and with the right checksum."""
        self.sections["backrest"].pop("backrest-checksum")
        digest = hashlib.sha1()
        opening = "{"
        with open(self.path, "w", encoding="utf-8") as file:
            for name in sorted(self.sections, key=lambda name: (name != "backrest", name)):
                entries = sorted(self.sections[name].items())
                file.write(f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in entries)
                           + "\n")
                digest.update((f'{opening}"{name}":{{' + ",".join(
                    f"{_escaped(key)}:{value}" for key, value in entries) + "}").encode())
                opening = ","
            digest.update(b"}")
            file.write(f'[backrest]\nbackrest-checksum="{digest.hexdigest()}"\n')
        shutil.copyfile(self.path, f"{self.path}.copy")


@dataclasses.dataclass(frozen=True)
class Kind:
    """One of the few contents that the files have."""

    plain: bytes
    stored: bytes

    @classmethod
    def make(cls, plain, compress):
        return cls(plain, plain if compress == "none" else subprocess.run(
            ["zstd", "-q", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout)

    @classmethod
    def some(cls, number, compress):
        chance = random.Random(number)
        # Half of it noise and half of it nothing: it shrinks about as pages of a table do.
        size = chance.randint(1, BLOCK)
        return cls.make(chance.randbytes(size // 2).ljust(size, b"\0"), compress)

    def entry(self):
        """What the manifest says of it, but for where it is and when it was made."""
        # Later versions than 2.45, which reads past it, write the checksum of the stored bytes.
        rck = ("" if self.stored is self.plain
               else f'"rck":"{hashlib.sha1(self.stored).hexdigest()}",')
        return (f'"checksum":"{hashlib.sha1(self.plain).hexdigest()}","checksum-page":true,{rck}'
                f'"repo-size":{len(self.stored)},"size":{len(self.plain)}')


class Bundles:
    """Puts stored files end to end into bundles of a backup."""

    def __init__(self, backup):
        self._directory = backup / "bundle"
        self._number = max(int(path.name) for path in self._directory.iterdir())
        self._file = None

    def add(self, name, kind):
        """The beginning of its entry in the manifest."""
        if not kind.plain:
            return ""  # has no bytes in a bundle
        if self._file is None or self._file.tell() >= _BUNDLE_SIZE:
            self.close()
            self._number += 1
            self._file = open(self._directory / str(self._number), "wb")
        place = f'"bni":{self._number},"bno":{self._file.tell()},'
        self._file.write(kind.stored)
        return place

    def close(self):
        if self._file is not None:
            self._file.close()


class Objects:
    """Gives each file an object of its own in a backup; those of one kind are hard links."""

    _MOST_LINKS = 30_000

    def __init__(self, backup, compress):
        self._backup = backup
        self._extension = "" if compress == "none" else f".{compress}"
        self._of_kind = {}  # kind: (path, links)
        self._made = set()  # directories

    def add(self, name, kind):
        path = self._backup / f"{name}{self._extension}"
        if path.parent not in self._made:
            path.parent.mkdir()
            self._made.add(path.parent)
        first, links = self._of_kind.get(kind, (None, self._MOST_LINKS))
        if links < self._MOST_LINKS:
            os.link(first, path)
            self._of_kind[kind] = first, links + 1
        else:
            path.write_bytes(kind.stored)
            self._of_kind[kind] = path, 1
        return ""

    def close(self):
        pass


class ManyFiles:
    """The repository, in a directory of its own; what an earlier run made is used again."""

    def __init__(self, work, files, databases, compress, bundle, say):
        self.files = files
        self.databases = databases
        self.compress = compress
        self.bundle = bundle
        self.directory = work / (f"files-{files}-{databases}-{compress}"
                                 + ("-bundle" if bundle else ""))
        done = self.directory / "done"
        if not done.exists():
            shutil.rmtree(self.directory, ignore_errors=True)
            self._make(say)
            done.touch()
        self.backup = self._backup_in(self.directory)
        self.manifest = self.backup / "backup.manifest"

    @staticmethod
    def _backup_in(directory):
        return next((directory / "repo/backup/main").glob("*F"))

    def conf(self, jobs):
        """A pgbackrest.conf that both programs restore with."""
        gone = type("Gone", (), {"data": "/nowhere", "port": 5432, "sockets": "/nowhere"})
        repo = BackrestRepo(self.directory, gone)
        return repo.write_conf("restore.conf", {"repo1-path": repo.path, "process-max": jobs})

    def data_directories(self):
        """Where the objects are that hold files."""
        if self.bundle:
            return [self.backup / "bundle"]
        data = self.backup / "pg_data"
        return [data, *(path for path in [*data.iterdir(), *(data / "base").iterdir()]
                        if path.is_dir())]

    def _make(self, say):
        say("backing up an empty cluster")
        source = Source(self.directory / "source")
        try:
            source.fill("empty", 0)
            repo = BackrestRepo(self.directory, source, compress=self.compress, bundle=self.bundle)
            repo.pgbackrest("--no-online", "stanza-create")
            repo.pgbackrest("--no-online", "--type=full", "--repo1-retention-full=9", "backup")
        finally:
            source.remove()
        say(f"adding {self.files} files to the backup")
        backup = self._backup_in(self.directory)
        objects = Bundles(backup) if self.bundle else Objects(backup, self.compress)
        manifest = InfoFile(backup / "backup.manifest")
        self._add_files(manifest, objects)
        objects.close()
        manifest.write()

    def _add_files(self, manifest, objects):
        kinds = [Kind.some(number, self.compress) for number in range(_KINDS)]
        entries = [kind.entry() for kind in kinds]
        nothing = Kind.make(b"", self.compress)
        files, paths = manifest.sections["target:file"], manifest.sections["target:path"]
        time = json.loads(manifest.sections["backup"]["backup-timestamp-start"])
        for number in range(self.files):
            relation, database = divmod(number, self.databases)
            directory = f"pg_data/base/{_FIRST_OID + database}"
            name = f"{directory}/{_FIRST_OID + relation}"
            if relation == 0:
                paths[directory] = "{}"
            if number % _EMPTY == 0:
                entry = objects.add(name, nothing) + '"size":0'
            else:
                kind = number % _KINDS
                entry = objects.add(name, kinds[kind]) + entries[kind]
            files[name] = f'{{{entry},"timestamp":{time - number % 100_000}}}'
