"""What lies below a data directory, in a form that two restores can be compared by."""

import dataclasses
import fnmatch
import hashlib
import os
import pathlib
import re
import stat

from rig.process import run

# What may differ between our restore and pgBackRest's with --type=none: (path pattern, what, why).
# Everything else is compared. Modification times of directories are not even read: neither tool
# restores them, because files are made in a directory after the directory.
TOLERATED = [
    ("recovery.signal", "presence",
     "pgBackRest 2.45 makes it for --type=none too (2.60 does not), and a server then refuses to "
     "start for want of a restore_command"),
    ("postgresql.auto.conf", "mtime",
     "both write it anew, because recovery settings of the source are commented out"),
    ("global/pg_control", "sha256",
     "its checkpoint is spoiled, so that a server without backup_label does not start, as newer "
     "pgBackRest does; assert_same_control() looks at everything else in it"),
    ("@tblspc/[0-9]*", "owner", "pgBackRest 2.45 as root leaves the mapped directory root's, which "
     "no server could use; assert_equal() wants PGDATA's owner there"),
    ("@tblspc/[0-9]*", "group", "as the owner"),
]


@dataclasses.dataclass(frozen=True)
class Entry:
    kind: str           # "file", "directory", "link" or "other"
    mode: str           # octal; links have none
    owner: int
    group: int
    size: int = 0       # of files
    mtime: int = 0      # of files, nanoseconds
    sha256: str = ""    # of files
    target: str = ""    # of links


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _entry(path, target=None):
    status = os.lstat(path)
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    common = {"owner": status.st_uid, "group": status.st_gid}
    if stat.S_ISLNK(status.st_mode):
        return Entry("link", "", target=target or os.readlink(path), **common)
    if stat.S_ISDIR(status.st_mode):
        return Entry("directory", mode, **common)
    if stat.S_ISREG(status.st_mode):
        return Entry("file", mode, size=status.st_size, mtime=status.st_mtime_ns,
                     sha256=_sha256(path), **common)
    return Entry("other", mode, **common)


def _walk(root, prefix, result):
    for directory, names, files in os.walk(root):
        base = pathlib.Path(directory)
        for name in sorted(names) + sorted(files):
            path = base / name
            result[prefix + str(path.relative_to(root))] = _entry(path)


def data_directory(root):
    """Path to Entry for PGDATA ("." is itself) and its tablespaces.

    A tablespace is listed as @tblspc/OID/..., and the link to it as pointing to @tblspc/OID, so
    that the place where it was put does not matter.
    """
    root = pathlib.Path(root)
    result = {".": _entry(root)}
    _walk(root, "", result)
    links = root / "pg_tblspc"
    if links.is_dir():
        for link in sorted(links.iterdir()):
            if link.is_symlink():
                name = f"@tblspc/{link.name}"
                result[f"pg_tblspc/{link.name}"] = _entry(link, target=name)
                place = pathlib.Path(os.readlink(link))
                if place.is_dir():
                    result[name] = _entry(place)
                    _walk(place, name + "/", result)
    return result


def plain(root):
    """Path to Entry of any directory; tablespaces and links are not followed."""
    result = {".": _entry(root)}
    _walk(pathlib.Path(root), "", result)
    return result


def _tolerated(path, what):
    return any(what == attribute and path.count("/") == pattern.count("/")
               and fnmatch.fnmatchcase(path, pattern) for pattern, attribute, _ in TOLERATED)


def differences(expected, found):
    """A line for each difference that is not in TOLERATED, none where the two are equal."""
    lines = []
    for path in sorted(expected.keys() | found.keys()):
        if _tolerated(path, "presence"):
            continue
        if path not in found:
            lines.append(f"{path}: absent, expected {expected[path].kind}")
        elif path not in expected:
            lines.append(f"{path}: not expected, is a {found[path].kind}")
        else:
            for field in dataclasses.fields(Entry):
                a, b = getattr(expected[path], field.name), getattr(found[path], field.name)
                if a != b and not _tolerated(path, field.name):
                    lines.append(f"{path}: {field.name} is {b!r}, expected {a!r}")
    return lines


def assert_equal(expected, found, what):
    lines = differences(expected, found)
    files = sum(1 for entry in expected.values() if entry.kind == "file")
    assert files > 500, f"{what}: only {files} files to compare with, which is no cluster"
    lines += [f"{path}: owner is {entry.owner}, PGDATA's is {found['.'].owner}"
              for path, entry in found.items()
              if re.fullmatch(r"@tblspc/\d+", path)
              and (entry.owner, entry.group) != (found["."].owner, found["."].group)]
    assert not lines, (f"{what}: {len(lines)} differences in {len(expected)} entries\n"
                       + "\n".join(lines[:40]))


def assert_same_control(expected, data, controldata):
    """The pg_control of a data directory we restored, of PostgreSQL 12 to 17, is `expected` (bytes)
    but for the spoiled checkpoint, and has the right CRC. `controldata` is the pg_controldata to
    ask."""
    a = bytearray(expected)
    b = bytearray((pathlib.Path(data) / "global/pg_control").read_bytes())
    assert len(a) == len(b) == 8192
    assert b[32:40] == (0xDEAD).to_bytes(8, "little")
    for control in (a, b):
        control[32:40] = bytes(8)    # checkpoint
        control[288:292] = bytes(4)  # CRC
    assert a == b, [i for i in range(8192) if a[i] != b[i]]
    text = run([controldata, data]).stdout
    assert "CRC" not in text, text
