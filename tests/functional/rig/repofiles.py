"""Finding, copying and damaging files of a repository, the way disks and people do."""

import pathlib
import re
import shutil

from rig.process import run

_SEGMENT = re.compile(r"^([0-9A-F]{24})(\.partial)?-[0-9a-f]{40}(\.\w+)?$")


def copy(repo_path, target):
    """A copy of a repository that may be damaged."""
    run(["cp", "-a", repo_path, target])
    return pathlib.Path(target)


def archive(repo_path, stanza="main"):
    """WAL name to its file, of every segment, partial segment, backup and history file."""
    found = {}
    for path in sorted((pathlib.Path(repo_path) / "archive" / stanza).rglob("*")):
        if path.is_file() and not path.name.startswith("archive.info"):
            match = _SEGMENT.match(path.name)
            found[match[1] + (match[2] or "") if match else path.name] = path
    return found


def segments(repo_path, stanza="main"):
    """Names of the whole segments, in order."""
    return sorted(name for name in archive(repo_path, stanza) if len(name) == 24)


def flip(path, offset=None, count=1):
    """Inverts bytes in the middle of a file (or at offset), size and time as they were."""
    path = pathlib.Path(path)
    size = path.stat().st_size
    offset = size // 2 if offset is None else offset
    assert 0 <= offset < size
    with open(path, "r+b") as file:
        file.seek(offset)
        old = file.read(count)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in old))


def truncate(path, keep=0.6):
    path = pathlib.Path(path)
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.truncate(int(size * keep))


def exchange(one, other):
    """Each gets the other's content."""
    aside = pathlib.Path(f"{one}.aside")
    shutil.move(one, aside)
    shutil.move(other, one)
    shutil.move(aside, other)
