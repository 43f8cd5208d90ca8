"""A repository made by someone who means harm, all its checksums right: what it says is refused with
the entry named, nothing is written outside of the target directories, no directory looks whole, and
memory stays within bounds.

Each repository is pgBackRest's own, altered.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from rig import repofiles, tree
from rig.backrest import write_conf
from rig.case import CORRUPT, NOT_FOUND, SYSTEM, Case
from rig.matrix import FORMS
from rig.process import run
from rig.program import message

# What a restore of two nodes has at most: its budget of 256 MiB, and room for all else.
PEAK = 600 << 20

# What a directory has while it is not whole.
MARKER = "pgrevive.restore"


class Hostile(Case):
    """A repository that is neither encrypted nor bundled, to alter, and what has to be true when it
    was refused."""

    def own(self):
        super().own()
        self.label = self.repo.labels[0]
        self.arguments = ["--set", self.label]
        (self.space / "outside").mkdir()
        return self

    @property
    def manifest(self):
        return self.backup / self.label / "backup.manifest"

    def alter(self, change):
        repofiles.rewrite(self.manifest, change)

    def entry(self, name, section="target:file"):
        """The value of an entry of the manifest."""
        text = self.manifest.read_bytes().decode("utf-8", "surrogateescape")
        inside = text[text.index(f"[{section}]\n"):].split("\n\n[")[0]
        return json.loads(re.search(rf"^{re.escape(name)}=(.*)$", inside, re.MULTILINE)[1])

    def add(self, name, value, section="target:file"):
        """Adds an entry to a section of the manifest, which is made where it is missing."""
        line = f"{name}={json.dumps(value, separators=(',', ':'))}\n"

        def change(text):
            head = f"[{section}]\n"
            if head not in text:
                return text.replace("[target:file]\n", f"{head}{line}\n[target:file]\n")
            return text.replace(head, head + line)
        self.alter(change)

    def set(self, name, **members):
        """Changes members of a file's entry."""
        old = self.entry(name)

        def change(text):
            value = json.dumps({**old, **members}, separators=(",", ":"))
            return re.sub(rf"^{re.escape(name)}=.*$", lambda _: f"{name}={value}", text,
                          flags=re.MULTILINE)
        self.alter(change)

    def store(self, name, content, **members):
        """Makes a file's object hold `content`, compressed, and the entry its checksum and sizes."""
        stored = run_zstd(content)
        (self.backup / self.label / f"{name}.zst").write_bytes(stored)
        self.set(name, **{"checksum": hashlib.sha1(content).hexdigest(), "size": len(content),
                          "repo-size": len(stored), **members})

    def outside(self):
        """All that lies beside the target directories, which nothing may change."""
        own = {path.name for path in self.nodes.values()} | {"ts", "pgbackrest.conf", "peak"}
        return {path: entry for path, entry in tree.plain(self.space).items()
                if path != "." and path.split("/")[0] not in own}

    def run(self, **options):
        """As a Case runs it, with its memory measured."""
        before = self.outside()
        peak = self.space / "peak"
        command = ["restore", "--config", self.conf(), "--stanza", self.stanza, "--type", "none",
                   "--tablespace-map-all", self.space / "ts", *self.arguments]
        for name, directory in self.nodes.items():
            command += ["--node", f"{name}={directory}"]
        result = run(["/usr/bin/python3", pathlib.Path(__file__).parent / "rig" / "peak.py", peak,
                      self.pgrevive.path, *command], check=False, timeout=180, **options)
        assert self.outside() == before, "something was written outside of the target directories"
        assert int(peak.read_text()) < PEAK, f"{int(peak.read_text()) >> 20} MiB: {message(result)}"
        return result

    def nothing_that_starts(self):
        super().nothing_that_starts()
        for data in self.nodes.values():
            whole = data.exists() and any(data.iterdir()) and not (data / MARKER).exists()
            assert not whole, f"{data} looks whole"


def run_zstd(content):
    return subprocess.run(["zstd", "-q", "-3", "-c"], input=content, stdout=subprocess.PIPE,
                          check=True).stdout


@pytest.fixture
def hostile(pgrevive, workspace, matrix):
    return Hostile(pgrevive, workspace.path, matrix.repository(FORMS[5])).own()


# Names.

LONG = "pg_data/" + "a" * 1_000_000
NAMES = {
    "parent": "pg_data/../outside/evil",
    "parents": "pg_data/base/../../outside/evil",
    "above": "../outside/evil",
    "absolute": "/{space}/outside/evil",
    "absolute-below": "pg_data//{space}/outside/evil",
    "self": "pg_data/./evil",
    "nul": "pg_data/ev\0il",
    "tablespaces-parent": "pg_tblspc/../outside/evil",
    "no-such-tablespace": "pg_tblspc/99999/PG_15_202209061/1/1",
    "elsewhere": "elsewhere/evil",
    "million": LONG,
    "deep": "pg_data" + "/d" * 5000,
}


@pytest.mark.parametrize("kind", NAMES)
def test_file_that_leads_elsewhere(hostile, kind):
    """Its object is there, so that nothing but the name keeps it from being written."""
    name = NAMES[kind].format(space=hostile.space)
    hostile.add(name, hostile.entry("pg_data/PG_VERSION"))
    stored = pathlib.Path(os.path.normpath(f"{hostile.backup / hostile.label}/{name}.zst"))
    if "\0" not in name and len(name) < 200 and hostile.path in stored.parents:
        stored.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hostile.backup / hostile.label / "pg_data" / "PG_VERSION.zst", stored)
    hostile.refused(CORRUPT, "backup.manifest", name.replace("\0", "\\x00")[:150], hint=False)


@pytest.mark.parametrize("name", ["pg_data/../outside/evil", "/{space}/outside/evil",
                                  "pg_tblspc/1/../../outside/evil"])
@pytest.mark.parametrize("section", ["target:path", "target:link", "backup:target"])
def test_directory_or_link_that_leads_elsewhere(hostile, section, name):
    name = name.format(space=hostile.space)
    hostile.add(name, {"destination": "/", "path": "/", "type": "link"}, section)
    hostile.refused(CORRUPT, name, hint=False)


def test_name_that_is_no_text(hostile):
    """Linux has names of any bytes, and a backup of such a file is restored, as pgBackRest does;
    what cannot be shown is escaped."""
    name = os.fsdecode(b"pg_data/base/caf\xe9\x1b[31m")
    hostile.add(name, hostile.entry("pg_data/PG_VERSION"))
    source = hostile.backup / hostile.label / "pg_data" / "PG_VERSION.zst"
    shutil.copy(source, hostile.backup / hostile.label / f"{name}.zst")
    result = hostile.run()
    assert result.returncode == 0, message(result)
    assert b"caf\xe9\x1b[31m" in os.listdir(os.fsencode(hostile.nodes["primary"] / "base"))

    hostile.set(name, size=-1)
    hostile.nodes = {"primary": hostile.space / "primary" / "base"}
    result = hostile.run()
    assert result.returncode == CORRUPT and "caf\\xe9\\x1b[31m" in result.stderr, message(result)


# Links.

def test_links_are_not_followed(hostile):
    """The backup's pg_wal, a directory and a file of its were links: they become plain ones in the
    data directory, whatever they were links to."""
    outside = hostile.space / "outside"
    (outside / "tuned.conf").write_text("not to be changed")
    hostile.alter(lambda text: re.sub(
        r'^(pg_data/\w.*?"(?:path|destination)":")[^"]*?(/tuned.conf)?"', rf'\1{outside}\2"', text,
        flags=re.MULTILINE))
    result = hostile.run()
    assert result.returncode == 0 and str(outside) in message(result), message(result)
    for data in hostile.nodes.values():
        assert (data / "pg_wal").is_dir() and (data / "tuned.conf").is_file()
        links = {path for path in data.rglob("*") if path.is_symlink()}
        assert {link.parent for link in links} == {data / "pg_tblspc"}, links


def test_tablespace_whose_name_leads_elsewhere(hostile):
    """--tablespace-map-all makes directories of tablespaces' names; of this one, of its OID."""
    oid = next(link.name for link in (hostile.backup / hostile.label / "pg_tblspc").iterdir())
    hostile.alter(lambda text: re.sub(r'("tablespace-name":")[^"]*', r"\1../outside/evil", text))
    result = hostile.run()
    assert result.returncode == 0, message(result)
    assert (hostile.space / "ts" / "primary" / oid).is_dir() or (hostile.space / "ts" / oid).is_dir()


def test_tablespace_in_a_directory_of_others(hostile):
    """Where nothing maps it, the manifest says where a tablespace lies, as with pgBackRest; not who may
    enter the directory of somebody who has something there."""
    outside = hostile.space / "outside"
    (outside / "others.txt").write_text("x")
    outside.chmod(0o701)
    before = outside.stat()
    oid = next(link.name for link in (hostile.backup / hostile.label / "pg_tblspc").iterdir())

    def change(text):
        text = re.sub(rf'(pg_tblspc/{oid}=\{{[^\n]*"(?:path|destination)":")[^"]*',
                      rf"\g<1>{outside}", text)
        before, paths = text.split("[target:path]\n")
        return before + "[target:path]\n" + re.sub(
            rf"^pg_tblspc/{oid}=.*$", f'pg_tblspc/{oid}={{"mode":"0777"}}', paths, count=1,
            flags=re.MULTILINE)

    hostile.alter(change)
    result = hostile.pgrevive.restore(
        hostile.conf(), {"primary": hostile.nodes["primary"]}, *hostile.arguments)
    assert any(name.startswith("PG_") for name in os.listdir(outside)), message(result)
    now = outside.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_names_of_our_own(hostile):
    """Files of the backup that have the names of our marker and of the pg_control that is not
    published yet replace neither."""
    for name in (MARKER, "global/pg_control.pgrevive.tmp"):
        hostile.add(f"pg_data/{name}", hostile.entry("pg_data/PG_VERSION"))
        shutil.copy(hostile.backup / hostile.label / "pg_data" / "PG_VERSION.zst",
                    hostile.backup / hostile.label / "pg_data" / f"{name}.zst")
    result = hostile.run()
    assert result.returncode == 0, message(result)
    for data in hostile.nodes.values():
        assert (data / "global" / "pg_control").stat().st_size == 8192
        assert not (data / MARKER).exists()
        assert not (data / "global" / "pg_control.pgrevive.tmp").exists()


def test_file_that_would_run_as_its_owner(hostile):
    hostile.set("pg_data/PG_VERSION", mode="4755")
    result = hostile.run()
    assert result.returncode == 0, message(result)
    assert (hostile.nodes["primary"] / "PG_VERSION").stat().st_mode & 0o7777 == 0o755


# Sizes.

BIGGEST = (1 << 63) - 1
SIZES = {
    "negative": ({"size": -1}, CORRUPT),
    "2^63": ({"size": 1 << 63}, CORRUPT),
    "2^64": ({"size": 1 << 64}, CORRUPT),
    "fraction": ({"size": 1.5}, CORRUPT),
    "text": ({"size": "8192"}, CORRUPT),
    "2^63-1": ({"size": BIGGEST}, SYSTEM),
    "negative-stored": ({"repo-size": -1}, CORRUPT),
    "stored-2^63-1": ({"repo-size": BIGGEST}, CORRUPT),
    "stored-1TiB": ({"repo-size": 1 << 40}, CORRUPT),
    "offset": ({"bni": 1, "bno": BIGGEST}, CORRUPT),
    "map-without-block-size": ({"bim": 1}, CORRUPT),
    "map-larger-than-file": ({"bi": 1, "bim": 1 << 40}, CORRUPT),
    "block-size": ({"bi": 1 << 40, "bim": 1}, CORRUPT),
    "block-checksum": ({"bi": 1, "bic": 17}, CORRUPT),
    "mode": ({"mode": "77777"}, CORRUPT),
    "longer": ({"size": 1000}, CORRUPT),
    "shorter": ({"size": 1}, CORRUPT),
}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_that_lie(hostile, kind):
    members, code = SIZES[kind]
    hostile.set("pg_data/PG_VERSION", **members)
    hostile.refused(code, "pg_data/PG_VERSION", hint=code == SYSTEM)


def test_sizes_whose_sum_wraps_around(hostile):
    """Two files of nearly 2^63 bytes are together as good as nothing, for who adds in 64 bits."""
    for name in ("pg_data/PG_VERSION", "pg_data/base/1/PG_VERSION"):
        hostile.set(name, size=BIGGEST - 4095)
    hostile.refused(SYSTEM, "not enough space", "PG_VERSION alone")


def test_stored_and_plain_size_lie_together(hostile):
    """Both are enormous and fit each other: no list of billions of requests is made."""
    hostile.set("pg_data/PG_VERSION", **{"size": BIGGEST, "repo-size": BIGGEST})
    hostile.refused(SYSTEM, "not enough space", "pg_data/PG_VERSION")


@pytest.mark.thorough(form=(1, 3))
@pytest.mark.parametrize("form", [1, 3, 5, 7], ids=["gz", "lz4", "zst", "bz2"])
def test_zip_bomb(pgrevive, workspace, matrix, form):
    """A gigabyte of zeros where the manifest speaks of three bytes: no more than these are written
    or kept in memory."""
    hostile = Hostile(pgrevive, workspace.path, matrix.repository(FORMS[form])).own()
    compress = {"gz": ["gzip", "-1"], "lz4": ["lz4", "-q", "-c"], "zst": ["zstd", "-q", "-c"],
                "bz2": ["bzip2", "-1"]}[FORMS[form].compress]
    bomb = subprocess.run(f"head -c {1 << 30} /dev/zero | {' '.join(compress)}", shell=True,
                          stdout=subprocess.PIPE, check=True).stdout
    bombed = {"repo-size": len(bomb)}
    if FORMS[form].bundle:
        bombed.update(bni=777, bno=0)
        place = hostile.backup / hostile.label / "bundle" / "777"
    else:
        place = hostile.backup / hostile.label / "pg_data" / f"PG_VERSION.{FORMS[form].compress}"
    place.write_bytes(bomb)
    # Its stored size has to fit the size that is claimed, or nothing would be fetched at all.
    hostile.set("pg_data/PG_VERSION", **bombed, size=max(len(bomb) // 2 - (32 << 10), 3))
    hostile.refused(CORRUPT, "pg_data/PG_VERSION", hint=False)
    written = hostile.nodes["primary"] / "PG_VERSION"
    assert not written.exists() or written.stat().st_size <= max(len(bomb), 3)


def test_enormous_pg_control(hostile):
    """All true and every byte there, and yet nothing that is read into memory as a whole."""
    hostile.store("pg_data/global/pg_control", bytes(300 << 20))
    hostile.refused(CORRUPT, "pg_data/global/pg_control", hint=False)


# Entries that come twice, or refer to one another.

@pytest.mark.parametrize("section, name", [
    ("target:file", "pg_data/PG_VERSION"), ("target:path", "pg_data/base"),
    ("target:link", None), ("backup:target", "pg_data")])
def test_entry_that_comes_twice(hostile, section, name):
    if name is None:
        text = hostile.manifest.read_text()
        name = re.search(r"^\[target:link\]\n(.*?)=", text, re.MULTILINE)[1]
    hostile.add(name, hostile.entry(name, section), section)
    hostile.refused(CORRUPT, name, "twice", hint=False)


def test_file_in_the_place_of_a_directory(hostile):
    hostile.add("pg_data/base", hostile.entry("pg_data/PG_VERSION"))
    shutil.copy(hostile.backup / hostile.label / "pg_data" / "PG_VERSION.zst",
                hostile.backup / hostile.label / "pg_data" / "base.zst")
    hostile.refused(CORRUPT, "pg_data/base", "a file and a directory", hint=False)


def test_file_below_a_file(hostile):
    hostile.add("pg_data/PG_VERSION/evil", hostile.entry("pg_data/PG_VERSION"))
    hostile.refused(CORRUPT, "pg_data/PG_VERSION/evil", "below the file", hint=False)


def test_file_in_the_place_of_a_tablespaces_link(hostile):
    oid = next(link.name for link in (hostile.backup / hostile.label / "pg_tblspc").iterdir())
    name = f"pg_data/pg_tblspc/{oid}"
    hostile.add(name, hostile.entry("pg_data/PG_VERSION"))
    hostile.refused(CORRUPT, name, "link to a tablespace", hint=False)


def test_references_in_a_circle(hostile):
    """A full backup that needs the incremental one that rests on it."""
    later = hostile.repo.labels[-1]
    hostile.set("pg_data/PG_VERSION", reference=later)
    hostile.refused(CORRUPT, "pg_data/PG_VERSION", later, hint=False)
    hostile.alter(lambda text: text.replace(
        "[backup]\n", f'[backup]\nbackup-reference="{later},{hostile.label}"\n'))
    hostile.refused(CORRUPT, hostile.label, later, hint=False)


def test_backups_that_rest_on_each_other(hostile):
    """Circles in backup.info alone: `info` and the restore of one of them come to an end."""
    def change(text):
        full, diff = hostile.repo.labels[:2]
        lines = []
        for line in text.split("\n"):
            if line.startswith(full + "={"):
                value = json.loads(line[len(full) + 1:])
                value.update({"backup-prior": diff, "backup-reference": [diff, full]})
                line = f"{full}={json.dumps(value, separators=(',', ':'))}"
            lines.append(line)
        return "\n".join(lines)
    repofiles.rewrite(hostile.backup / "backup.info", change)
    assert info(hostile).returncode == 0
    result = hostile.run()
    assert result.returncode == 0, message(result)


# Bundles and block maps.

def bundled(pgrevive, workspace, matrix):
    return Hostile(pgrevive, workspace.path, matrix.repository(FORMS[7])).own()


def test_places_outside_of_the_bundle(pgrevive, workspace, matrix):
    hostile = bundled(pgrevive, workspace, matrix)
    name = "pg_data/PG_VERSION"
    own = hostile.entry(name)
    hostile.set(name, bno=1 << 40)
    hostile.refused(CORRUPT, name, f"bundle/{own['bni']}", hint=False)
    hostile.set(name, bni=12345, bno=0)
    hostile.refused(NOT_FOUND, "bundle/12345", hint=False)
    hostile.set(name, bni=own["bni"], bno=own.get("bno", 0) + 1)
    hostile.refused(CORRUPT, name, hint=False)


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def block_map(*, reference, bundle=778, offset=0, stored, logical=None, checksum=6):
    """A map of one block in one super block; see docs/format/block_map.md."""
    kind = 1 if logical is None else 1 | 2
    text = varint(0) + varint(reference << 3 | 1 | 2 | 4) + varint(bundle) + varint(offset)
    text += varint(stored << 3 | kind)
    if logical is not None:
        text += varint(logical << 1)
    return text + bytes(checksum)


class BlockCase(Hostile):
    """A repository with block incremental, in which one file is replaced by a hostile one."""

    def __init__(self, pgrevive, space, fixture):
        self.fixture = fixture
        self.pgrevive = pgrevive
        self.space = space
        self.path = space / "repo"
        self.options = {"repo1-path": self.path}
        self.nodes = {name: space / name for name in ("primary", "replica")}
        self.stanza = "main"
        self.label = fixture.label("full")
        self.arguments = ["--set", self.label]
        repofiles.copy(fixture.repo, self.path)
        (space / "outside").mkdir()
        # The largest file that is one block.
        text = self.manifest.read_text()
        sizes = {}
        for name, value in re.findall(r'^(pg_data/base/\S+)=(\{.*"bim":.*\})$', text, re.MULTILINE):
            value = json.loads(value)
            if value["size"] <= value["bi"] * 8192:
                sizes[name] = value["size"]
        if not sizes:
            name, value = re.findall(r'^(pg_data/base/\S+)=(\{.*"bim":.*\})$', text,
                                     re.MULTILINE)[0]
            sizes[name] = 8192
        self.name = max(sizes, key=sizes.get)

    def with_map(self, stored, map_bytes, **members):
        content = stored + map_bytes
        (self.backup / self.label / "bundle" / "777").write_bytes(content)
        self.set(self.name, **{"bni": 777, "bno": 0, "repo-size": len(content),
                               "bim": len(map_bytes), "size": 8192, "bi": 1, "bic": 6, **members})


MAPS = {
    "outside-of-its-object": (dict(reference=0, bundle=777, offset=1 << 40, stored=100), CORRUPT),
    "position-2^63": (dict(reference=0, bundle=777, offset=(1 << 63) - 50, stored=100), CORRUPT),
    "no-such-bundle": (dict(reference=0, bundle=12345, stored=100), NOT_FOUND),
    "no-such-backup": (dict(reference=99, stored=100), CORRUPT),
    "enormous-plain": (dict(reference=0, bundle=777, stored=100, logical=1 << 40), CORRUPT),
    "enormous-stored": (dict(reference=0, bundle=778, stored=1 << 30), CORRUPT),
    "itself": (dict(reference=0, bundle=777, offset=64, stored=20), CORRUPT),
}


@pytest.mark.thorough(kind=("enormous-stored", "no-such-backup"))
@pytest.mark.parametrize("kind", MAPS)
def test_block_map_that_lies(pgrevive, workspace, unpack_fixture, kind):
    fixture = unpack_fixture("pg15-lz4-bundle-block")
    case = BlockCase(pgrevive, workspace.path, fixture)
    members, code = MAPS[kind]
    # As large as it says, and stored as a hole.
    with open(case.backup / case.label / "bundle" / "778", "wb") as file:
        file.truncate(2 << 30)
    case.with_map(bytes(64), block_map(**members))
    case.refused(code, "12345" if code == NOT_FOUND else case.name, hint=False)


@pytest.mark.parametrize("content", [b"\xff" * 40, b"\0" * 40, b"\x00", b"\x00\x07\x01"],
                         ids=["ones", "zeros", "one", "cut"])
def test_block_map_that_is_none(pgrevive, workspace, unpack_fixture, content):
    case = BlockCase(pgrevive, workspace.path, unpack_fixture("pg15-lz4-bundle-block"))
    case.with_map(bytes(64), content)
    case.refused(CORRUPT, case.name, hint=False)


def test_enormous_block_map(pgrevive, workspace, unpack_fixture):
    """A gigabyte of map for a file of one block."""
    case = BlockCase(pgrevive, workspace.path, unpack_fixture("pg15-lz4-bundle-block"))
    case.with_map(bytes(64), b"")
    with open(case.backup / case.label / "bundle" / "777", "r+b") as file:
        file.truncate(1 << 30)
    case.set(case.name, **{"size": 1 << 30, "repo-size": 1 << 30, "bim": (1 << 30) - 64})
    case.refused(CORRUPT, case.name, hint=False)


# Info files and the archive.

def info(case, *arguments):
    conf = write_conf(case.space / "pgbackrest.conf",
                      {"global": case.options, "main": {"pg1-path": "/nosuch"}})
    return case.pgrevive("info", "--config", conf, "--stanza", "main", *arguments, check=False)


INFOS = {
    "label": (lambda text, label: text.replace(label + "={", "../../outside/evil={"),
              "../../outside/evil"),
    "long-label": (lambda text, label: text.replace(label + "={", "9" * 1_000_000 + "={"),
                   "9" * 100),
    "no-text": (lambda text, label: text.replace(label + "={", "\udcff\udcfe\x1b[31m={"),
                "\\xff\\xfe\\x1b[31m"),
    "segment": (lambda text, label: re.sub(r'("backup-archive-start":")[^"]*',
                                           r"\1../../../../../../../etc/", text), "../../../"),
    "terminal": (lambda text, label: re.sub(r'("backup-lsn-start":")[^"]*', "\\1\x1b[31m", text),
                 "\\x1b[31m"),
    "size": (lambda text, label: re.sub(r'"backup-info-size":\d+', '"backup-info-size":-1', text),
             "-1"),
    "history": (lambda text, label: re.sub(r"(\[db:history\]\n)(.*\n)", r"\1\2\2", text), "twice"),
    "version": (lambda text, label: re.sub(r'"db-version":"[^"]*"', '"db-version":"../.."', text),
                "../.."),
}


@pytest.mark.parametrize("kind", INFOS)
def test_hostile_backup_info(hostile, kind):
    change, word = INFOS[kind]
    repofiles.rewrite(hostile.backup / "backup.info", lambda text: change(text, hostile.label))
    result = info(hostile)
    assert result.returncode != 0, message(result)
    assert word in message(result) and "\x1b" not in message(result), message(result)
    assert "backup.info" in message(result)
    hostile.refused(CORRUPT, "backup.info", word, hint=False)


def test_backup_that_comes_twice(hostile):
    repofiles.rewrite(hostile.backup / "backup.info", lambda text: re.sub(
        rf"^{hostile.label}=.*\n", lambda line: line[0] + line[0], text, flags=re.MULTILINE))
    hostile.refused(CORRUPT, "backup.info", hostile.label, "twice", hint=False)


def test_line_without_end(hostile):
    """Forty megabytes of one line."""
    repofiles.rewrite(hostile.backup / "backup.info", lambda text: text.replace(
        "[backup:current]\n", '[backup:current]\nx="' + "y" * (40 << 20) + '"\n'))
    hostile.refused(CORRUPT, "backup.info", "longer than", hint=False)


def test_bomb_in_the_archive(hostile):
    """A segment that decodes to a gigabyte: no more than a segment is written, and the server is
    told of trouble, not of the archive's end."""
    name, path = next((name, path) for name, path in repofiles.archive(hostile.path).items()
                      if len(name) == 24)
    bomb = subprocess.run(f"head -c {1 << 30} /dev/zero | zstd -q -c", shell=True,
                          stdout=subprocess.PIPE, check=True).stdout
    path.unlink()
    digest = hashlib.sha1()
    for _ in range(1 << 6):
        digest.update(bytes(1 << 24))
    path.with_name(f"{name}-{digest.hexdigest()}.zst").write_bytes(bomb)
    data = hostile.space / "data"
    (data / "pg_wal").mkdir(parents=True)
    (data / "global").mkdir()
    source = hostile.repo.source.data
    shutil.copy(source / "PG_VERSION", data)
    shutil.copy(source / "global" / "pg_control", data / "global")
    # Whoever writes more than this is killed.
    result = run(["prlimit", f"--fsize={64 << 20}", hostile.pgrevive.path, "archive-get", "--config",
                  hostile.conf(), "--stanza", "main", name, "pg_wal/RECOVERYXLOG"], cwd=data,
                 check=False)
    assert result.returncode > 125, message(result)
    assert name in result.stderr and "has more than" in result.stderr, message(result)
    assert not list((data / "pg_wal").iterdir())
