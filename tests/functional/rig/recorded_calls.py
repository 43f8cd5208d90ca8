"""What of a restore is left after a loss of power, at any moment of it.

tests/support/recorded_calls.c writes down each change and each sync of a pgrevive that runs with
Recording.variables(). A Crash is a moment of that: what was synced by then, and of all else nothing
(the worst there can be), or what chance leaves of it. It can be laid down in place of the tree.

    recording = Recording(directory, root)      # root: what is there before
    pgrevive(..., env=recording.variables())
    for moment, crash in recording.crashes([100, recording.moments]):  # or with random.Random(seed)
        crash.lay_down()

The rules are the strictest that a file system may keep: a file's fsync makes its bytes, size, mode and
owner durable, not its name; a directory's fsync its names; syncfs all of it. sync_file_range promises
nothing. What is not durable may get lost one by one: a rename may outlive the bytes of what was
renamed. Modification times are not looked at.
"""

import os
import pathlib
import shutil
import stat

from rig.process import run
from rig.program import ROOT

SOURCE = ROOT / "tests" / "support" / "recorded_calls.c"


class _Thing:
    """A file, a directory or a link, with what is durable of it."""

    def __init__(self, kind, mode=0, owner=(0, 0), target=""):
        self.kind, self.mode, self.owner, self.target = kind, mode, owner, target
        self.bytes = bytearray()
        self.names = {}

    def copy(self):
        made = _Thing(self.kind, self.mode, self.owner, self.target)
        made.bytes, made.names = bytearray(self.bytes), dict(self.names)
        return made


def _scan(path, by_inode):
    entry = os.lstat(path)
    kind = "link" if stat.S_ISLNK(entry.st_mode) else (
        "directory" if stat.S_ISDIR(entry.st_mode) else "file")
    thing = _Thing(kind, stat.S_IMODE(entry.st_mode), (entry.st_uid, entry.st_gid),
                   os.readlink(path) if kind == "link" else "")
    by_inode[entry.st_ino] = thing
    if kind == "file":
        thing.bytes = bytearray(path.read_bytes())
    elif kind == "directory":
        thing.names = {child.name: _scan(child, by_inode) for child in path.iterdir()}
    return thing


class _Change:
    """One call: `things` are durable with it, once one of them is synced."""

    def __init__(self, things, apply):
        self.things, self.apply = things, apply


class Recording:
    def __init__(self, directory, root):
        self.directory, self.root = pathlib.Path(directory), pathlib.Path(root)
        self.directory.mkdir(parents=True)
        library = self.directory / "recorded_calls.so"
        run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,-z,lazy",
             "-o", library, SOURCE, "-ldl"])
        self._variables = {"LD_PRELOAD": library, "PGREVIVE_RECORD_DIR": self.directory}
        self._before = {}  # inode to thing
        self._top = _scan(self.root, self._before)
        self._lines = None

    def variables(self):
        return self._variables

    @property
    def lines(self):
        if self._lines is None:
            self._lines = (self.directory / "lines").read_text(errors="surrogateescape").splitlines()
        return self._lines

    @property
    def moments(self):
        return len(self.lines)

    def crashes(self, moments, chance=None):
        """Moment and Crash behind so many of the calls, for each of them in order. With `chance` each
        call that is not durable is with odds of a half."""
        wanted = set(moments)
        state = _State(self._before, self._top)
        with (self.directory / "data").open("rb") as data:
            for at in range(self.moments + 1):
                if at in wanted:
                    yield at, Crash(self.root, *state.left(chance))
                if at < self.moments:
                    state.take(self.lines[at], data)


class _State:
    def __init__(self, before, top):
        copies = {id(thing): thing.copy() for thing in before.values()}
        for thing in copies.values():
            thing.names = {name: copies[id(inner)] for name, inner in thing.names.items()}
        self.of = {inode: copies[id(thing)] for inode, thing in before.items()}
        self.top = copies[id(top)]
        self.now = {}      # directory (by id) to names, as the processes see them
        self.pending = []  # in order

    def _names(self, directory):
        return self.now.setdefault(id(directory), dict(directory.names))

    def take(self, line, data):
        word, *rest = line.split(" ", 1)
        rest = rest[0] if rest else ""
        if word == "syncfs":
            self._settle(lambda change: True)
        elif word == "sync":
            thing = self.of.get(int(rest))
            self._settle(lambda change: any(thing is other for other in change.things))
        elif word in ("create", "mkdir"):
            parent, inode, mode, name = rest.split(" ", 3)
            kind = "file" if word == "create" else "directory"
            self._enter(int(parent), name, int(inode), _Thing(
                kind, int(mode, 8), (os.geteuid(), os.getegid())))
        elif word == "symlink":
            parent, inode, names = rest.split(" ", 2)
            name, target = names.split("\t")
            self._enter(int(parent), name, int(inode), _Thing(
                "link", 0o777, (os.geteuid(), os.getegid()), target))
        elif word == "remove":
            parent, name = rest.split(" ", 1)
            parent = self.of.get(int(parent))
            if parent is not None:
                self._names(parent).pop(name, None)
                self._add([parent], lambda left: left.names(parent).pop(name, None))
        elif word == "rename":
            self._rename(rest)
        else:
            self._change_file(word, rest, data)

    def _add(self, things, apply):
        self.pending.append(_Change(things, apply))

    def _enter(self, parent, name, inode, thing):
        self.of[inode] = thing
        parent = self.of.get(parent)
        if parent is None:
            return  # of no interest: it lies elsewhere
        self._names(parent)[name] = thing
        self._add([parent], lambda left: left.names(parent).__setitem__(name, thing))

    def _rename(self, rest):
        source, target, names = rest.split(" ", 2)
        name, new = names.split("\t")
        source, target = self.of.get(int(source)), self.of.get(int(target))
        if source is None or target is None:
            return
        thing = self._names(source).pop(name)
        self._names(target)[new] = thing

        def apply(left):
            if left.names(source).get(name) is thing:
                del left.names(source)[name]
            left.names(target)[new] = thing
        self._add([source, target], apply)

    def _change_file(self, word, rest, data):
        inode, *words = rest.split()
        thing = self.of.get(int(inode))
        if word == "write":
            offset, count = map(int, words)
            piece = data.read(count)
            if thing is not None:
                self._add([thing], lambda left: left.write(thing, offset, piece))
        elif thing is None:
            return
        elif word == "size":
            self._add([thing], lambda left: left.resize(thing, int(words[0])))
        elif word == "mode":
            self._add([thing], lambda left: setattr(left.of(thing), "mode", int(words[0], 8)))
        elif word == "owner":
            owner = (int(words[0]), int(words[1]))
            self._add([thing], lambda left: setattr(left.of(thing), "owner", owner))
        else:
            raise AssertionError(f"what is {word}?")

    def _settle(self, is_durable):
        durable = _Durable()
        kept = []
        for change in self.pending:
            if is_durable(change):
                change.apply(durable)
            else:
                kept.append(change)
        self.pending = kept

    def left(self, chance):
        left = _Left()
        for change in self.pending:
            if chance is not None and chance.random() < 0.5:
                change.apply(left)
        return self.top, left


class _Durable:
    """Changes go into the things themselves."""

    def of(self, thing):
        return thing

    def names(self, thing):
        return self.of(thing).names

    def write(self, thing, offset, piece):
        held = self.of(thing).bytes
        if len(held) < offset:
            held.extend(bytes(offset - len(held)))
        held[offset:offset + len(piece)] = piece

    def resize(self, thing, size):
        held = self.of(thing).bytes
        del held[size:]
        held.extend(bytes(size - len(held)))


class _Left(_Durable):
    """... or into copies: what was durable at this moment is to stay."""

    def __init__(self):
        self.copies = {}

    def of(self, thing):
        if id(thing) not in self.copies:
            self.copies[id(thing)] = thing.copy()
        return self.copies[id(thing)]

    def seen(self, thing):
        return self.copies.get(id(thing), thing)


class Crash:
    """What is left. It is read at once, since the calls that follow change what is durable."""

    def __init__(self, root, top, left):
        self.root = root
        self.entries = {}  # path below the root to (kind, mode, owner, bytes or target)
        self._read("", top, left)

    def _read(self, path, thing, left):
        thing = left.seen(thing)
        content = thing.target if thing.kind == "link" else (
            bytes(thing.bytes) if thing.kind == "file" else b"")
        self.entries[path] = (thing.kind, thing.mode, thing.owner, content)
        for name, inner in thing.names.items():
            self._read(f"{path}/{name}" if path else name, inner, left)

    def has(self, path):
        return path in self.entries

    def lay_down(self):
        """In place of what is there."""
        for child in self.root.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
        for path, (kind, mode, owner, content) in self.entries.items():
            place = self.root / path
            if kind == "link":
                place.symlink_to(content)
            elif kind == "file":
                place.write_bytes(content)
            elif path:
                place.mkdir()
            if os.geteuid() == 0:
                os.chown(place, *owner, follow_symlinks=False)
            if kind != "link":
                place.chmod(mode)


def tree_of(root):
    """A tree as Crash.entries has it."""
    return Crash(root, _scan(pathlib.Path(root), {}), _Left()).entries
