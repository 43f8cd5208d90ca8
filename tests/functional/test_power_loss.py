"""The power goes: what was not synced is lost, and what was announced as restored is whole.

Two ways. rig/recorded_calls.py knows of each call of a `restore` what of it is durable, by the
strictest rules a file system may have, and lays down what is left at any moment. rig/lossy_disk.py
takes the power of a real file system with a whole cluster on it, its servers, what goes by io_uring and
clones of files included.

Here a few moments, drawn by a seed; `scripts/power-loss.sh` tries as many as are wanted.
PGREVIVE_POWER_SEED and _MOMENTS (how many, or all) are how it says so.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import time

import pytest

from rig.cluster import Cluster
from rig.faulty_calls import FaultyCalls
from rig.fixtures import KINDS, QUERY
from rig.lossy_disk import LossyDisk
from rig.postgres import server_user
from rig.process import Failed, wait_until
from rig.program import message
from rig.recorded_calls import Recording, tree_of
from rig.restored import recovered
from rig.story import MARKERS, ROWS

SEED = os.environ.get("PGREVIVE_POWER_SEED", "1")
MOMENTS = os.environ.get("PGREVIVE_POWER_MOMENTS", "1")
NODES = ("primary", "replica")
TARGET_NOT_EMPTY = 26
MARKER = "pgrevive.restore"
CONTROL = "global/pg_control"
# On xfs large files of the replica are clones of the primary's.
DISKS = ("ext4", "xfs") if "PGREVIVE_POWER_MOMENTS" in os.environ else ("xfs",)


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
    """At its end, at each call from before the sync of all on, and at some before."""
    # A few calls before the first pg_control gets its name.
    publishing = next(at for at, line in enumerate(recording.lines)
                      if line.startswith("rename ") and line.endswith("\tpg_control")) - 4
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
    answer = next(answer for kind, _, answer in scene.fixture.expectations() if kind == "default")
    with recovered(scene.root / "primary", place, balanced=False,  # the source changed its tables
                   logging_collector="off") as server:
        assert server.sql(QUERY, "testdb") == answer


def test_delta(scene):
    """Over an older backup: until the new one is whole, it is the old one or none."""
    for child in scene.root.iterdir():
        shutil.rmtree(child)
    scene.restore("full")
    lose_power(scene, scene.record("calls-delta", "incr", "--delta"), "incr", "--delta")


# A cluster on a file system of its own.

class LossyCluster(Cluster):
    variables = {}

    @property
    def environment(self):
        return {**super().environment, **self.variables}

    def lose_power(self, disk):
        """And everything that ran ends."""
        disk.lose_power()
        self.variables = {}
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        disk.come_back()

    def whole(self):
        for node in NODES:
            wait_until(lambda node=node: self.sql(node, "select 1", check=False).returncode == 0,
                       60, f"{node} answers")
        self.caught_up()
        for node in NODES:
            assert self.sql(node, MARKERS) == ROWS, node


@contextlib.contextmanager
def cluster_on(disk_kind, pgrevive, space, story, name):
    place = space.directory(name)
    try:
        disk = LossyDisk(place, disk_kind)
    except Failed as why:
        pytest.skip(f"NOT TESTED: a power loss of {disk_kind}, because it cannot be mounted: {why}")
    cluster = LossyCluster(pgrevive, disk.place, {**story.values(), "WAL_ARCHIVE": "off",
                                                  "ADMINER_PORT": 0}, name=name)
    cluster.env_file = place / "env"
    cluster.write_env()
    try:
        yield cluster, disk
    finally:
        cluster.gone()
        disk.remove()


def records_of(cluster):
    return {node: json.loads((cluster.root / node / "pgrevive-node.json").read_text())
            for node in NODES}


@pytest.mark.parametrize("kind", DISKS)
def test_cluster_that_runs(pgrevive, space, story, kind):
    """The power goes as soon as `start` has said that all is up, and a commit later once more:
    nothing is restored again, and no acknowledged commit is lost."""
    with cluster_on(kind, pgrevive, space, story, f"runs-{kind}") as (cluster, disk):
        cluster.start()
        records = records_of(cluster)
        cluster.lose_power(disk)
        assert records_of(cluster) == records
        cluster.start()
        cluster.whole()
        cluster.sql("primary", "insert into markers (what) values ('acknowledged')")
        cluster.lose_power(disk)
        cluster.start()
        assert cluster.sql("primary", MARKERS) == f"{ROWS},acknowledged"
        cluster.caught_up()
        assert records_of(cluster) == records


def test_cluster_on_its_way(pgrevive, space, story):
    """The power goes just before a call of the supervisor; `start` then ends right."""
    with cluster_on("ext4", pgrevive, space, story, "way") as (cluster, disk):
        calls = FaultyCalls(space.path / "power-calls", cluster.root)
        cluster.variables = calls.watched()
        cluster.start()
        cluster.variables = {}
        made = [call for call in calls.calls()
                if call.role == "supervise" and call.function in ("rename", "fsync", "syncfs")]
        chance = random.Random(SEED)
        wanted = len(made) if MOMENTS == "all" else (int(MOMENTS) + 1) // 2
        struck = 0  # a run may not come by a moment of another one
        for turn in range(wanted if MOMENTS == "all" else 3 * wanted):
            if struck == wanted:
                break
            at = turn if MOMENTS == "all" else chance.randrange(len(made))
            call, nth = made[at], made[:at + 1].count(made[at])
            cluster.run("cleanup", "--yes")
            cluster.variables = calls.struck(call, nth, "halt")
            cluster.start("--detach")
            wait_until(lambda: calls.hits() or phase(cluster) in ("running", "failed"), 120,
                       f"{call}, the {nth}th, or an end")
            struck += bool(calls.hits())
            cluster.lose_power(disk)
            result = cluster.start(check=False)
            assert result.returncode == 0, f"behind {call}, the {nth}th: {message(result)}"
            cluster.whole()
        assert struck >= (1 if MOMENTS == "all" else wanted)


def phase(cluster):
    return (cluster.status_or_none() or {}).get("supervisor", {}).get("phase")
