"""Finding, copying and damaging files of a repository, the way disks and people do."""

import hashlib
import json
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


def with_checksum(text):
    """An info file's text with the right checksum: SHA-1 over its JSON form, values as they stand.
    Bytes that are no UTF-8 are surrogates in it."""
    body, sections, section = text[:text.rindex("[backrest]")], {}, None
    for line in body.split("\n"):
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], [])
        elif line:
            # A key may hold "=" itself; what follows the right one is JSON.
            at = line.index("=")
            while not _is_json(line[at + 1:]):
                at = line.index("=", at + 1)
            section.append((line[:at], line[at + 1:]))
    joined = ",".join(
        f'"{name}":{{' + ",".join(f"{_quoted(key)}:{value}" for key, value in entries) + "}"
        for name, entries in sections.items())
    digest = hashlib.sha1(("{" + joined + "}").encode("utf-8", "surrogateescape")).hexdigest()
    return f'{body}[backrest]\nbackrest-checksum="{digest}"\n'


def _is_json(text):
    try:
        json.loads(text, strict=False)
    except ValueError:
        return False
    return True


def _quoted(key):
    """As pgBackRest has keys in that form: it leaves other control characters as they are."""
    for character, escape in ('\\', '\\\\'), ('"', '\\"'), ("\r", "\\r"), ("\t", "\\t"):
        key = key.replace(character, escape)
    return f'"{key}"'


def rewrite(path, change):
    """Replaces an info file and its copy by what `change` makes of the text, its checksum right."""
    path = pathlib.Path(path)
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    changed = with_checksum(change(text)).encode("utf-8", "surrogateescape")
    for name in (path, path.with_name(path.name + ".copy")):
        name.write_bytes(changed)
