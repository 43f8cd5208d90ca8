"""The power goes: what was not synced is lost, and what was announced as restored is whole.

Two ways. rig/recorded_calls.py knows of each call of a `restore` what of it is durable, by the
strictest rules a file system may have, and lays down what is left at any moment.

Here a few moments, drawn by a seed; `scripts/power-loss.sh` tries as many as are wanted.
PGREVIVE_POWER_SEED and _MOMENTS (how many, or all) are how it says so.
"""

import os
import random
import re
import shutil

import pytest

from rig.fixtures import KINDS, QUERY
from rig.postgres import Server, server_user, trusting_hba
from rig.process import wait_until
from rig.program import message
from rig.recorded_calls import Recording, tree_of

SEED = os.environ.get("PGREVIVE_POWER_SEED", "1")
MOMENTS = os.environ.get("PGREVIVE_POWER_MOMENTS", "2")
NODES = ("primary", "replica")
TARGET_NOT_EMPTY = 26
MARKER = "pgrevive.restore"
CONTROL = "global/pg_control"


class Scene:
    """Two nodes with a tablespace below one directory, all of which a crash may take."""

    def __init__(self, pgrevive, space, fixture):
        self.pgrevive, self.space, self.fixture = pgrevive, space, fixture
        self.conf = fixture.conf(space.path / "pgbackrest.conf", owner=server_user())
        self.root = space.directory("root", owner=server_user())
        self.before = None

    def restore(self, kind, *words, **options):
        return self.pgrevive.restore(
            self.conf, {node: self.root / node for node in NODES}, "--set",
            self.fixture.labels[KINDS.index(kind)], "--type", "default", *words,
            tablespaces=self.root / "tablespaces", **options)

    def record(self, name, kind, *words):
        """A restore that ends well, and each of its calls."""
        self.before = tree_of(self.root)
        shutil.rmtree(self.space.path / name, ignore_errors=True)
        recording = Recording(self.space.path / name, self.root)
        self.restore(kind, *words, env=recording.variables())
        assert any(line == "syncfs" for line in recording.lines), "nothing was recorded"
        self.whole = tree_of(self.root)
        return recording

    def of_node(self, entries, node):
        """What it has, but for the marker, which says that there may be less."""
        places = (f"{node}", f"tablespaces/{node}")
        return {path: entry for path, entry in entries.items()
                if any(path == place or path.startswith(place + "/") for place in places)
                and path != f"{node}/{MARKER}"}

    def judge(self, crash, when):
        """Where a server could start, nothing is missing."""
        for node in NODES:
            if not crash.has(f"{node}/{CONTROL}"):
                continue
            left = self.of_node(crash.entries, node)
            assert left in (self.of_node(self.whole, node), self.of_node(self.before, node)), (
                f"{when}: {node} looks whole and is not: "
                f"{differences(self.of_node(self.whole, node), left)}")

    def restored_again(self, crash, kind, words, when):
        """Whatever was left, one restore more makes it whole."""
        crash.lay_down()
        result = self.restore(kind, *words, check=False)
        if result.returncode == TARGET_NOT_EMPTY:
            # One of the nodes was whole already, which is for a person to say.
            assert any(crash.has(f"{node}/{CONTROL}") for node in NODES), message(result)
            assert "--delta" in message(result)
            result = self.restore(kind, "--delta", check=False)
        assert result.returncode == 0, f"{when}: {message(result)}"
        assert not differences(self.whole, tree_of(self.root)), when


def differences(expected, found):
    """But for the time of the restore, which stands above its recovery settings."""
    def timeless(path, entries):
        kind, mode, owner, content = entries.get(path, ("absent", 0, 0, b""))
        if path.endswith("/postgresql.auto.conf"):
            content = re.sub(rb"(?m)^(# Recovery settings .*) on .*$", rb"\1", content)
        return kind, mode, owner, content
    return sorted(path for path in expected.keys() | found.keys()
                  if timeless(path, expected) != timeless(path, found))[:20]


@pytest.fixture(scope="module")
def scene(pgrevive, space, unpack_fixture):
    return Scene(pgrevive, space, unpack_fixture("pg15-lz4-bundle-block"))


def lose_power(scene, recording, kind, *words):
    """At its end, at each call from the sync of all on, and at some before."""
    publishing = recording.lines.index("syncfs") - 2
    chance = random.Random(f"{SEED} {kind}")
    earlier = range(publishing)
    few = earlier if MOMENTS == "all" else sorted(
        chance.sample(earlier, min(int(MOMENTS), publishing)))
    late = range(publishing, recording.moments + 1)
    for odds in (None, chance):
        way = "all that was not synced is lost" if odds is None else f"a part is lost, seed {SEED}"
        again = {*few, chance.choice(late[:-1])} if MOMENTS != "all" else {*few, *late}
        for moment, crash in recording.crashes([*few, *late], odds):
            when = f"{way}, behind call {moment} of {recording.moments}"
            scene.judge(crash, when)
            if moment == recording.moments:
                assert not differences(scene.whole, crash.entries), f"{when}: not durable"
            elif moment in again:
                scene.restored_again(crash, kind, words, when)


def test_restore(scene):
    """Into empty directories; what exit code 0 told of is there, and a server recovers on it."""
    recording = scene.record("calls", "full")
    lose_power(scene, recording, "full")
    for _, crash in recording.crashes([recording.moments]):
        crash.lay_down()
    place = scene.space.directory("server", owner=server_user())
    server = Server(scene.root / "primary", sockets=place, log=place / "server.log")
    try:
        server.start(archive_mode="off", hba_file=trusting_hba(place),
                     logging_collector="off")
        wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", 60,
                   f"recovery ends; see {server.log}")
        answer = next(answer for kind, _, answer in scene.fixture.expectations()
                      if kind == "default")
        assert server.sql(QUERY, "testdb") == answer
    finally:
        server.stop()


def test_delta(scene):
    """Over an older backup: until the new one is whole, it is the old one or none."""
    for child in scene.root.iterdir():
        shutil.rmtree(child)
    scene.restore("full")
    lose_power(scene, scene.record("calls-delta", "incr", "--delta"), "incr", "--delta")
