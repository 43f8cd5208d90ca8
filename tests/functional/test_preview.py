"""What is said of a recovery before its first byte: `start --preview`, and targets that are refused."""

import datetime
import hashlib
import itertools
import json
import os
import re

import pytest

from rig import repofiles
from rig.backrest import write_conf
from rig.cluster import Cluster
from rig.postgres import server_user
from rig.process import run
from rig.program import message
from rig.story import CIPHER_PASS

NOT_FOUND, USAGE = 23, 21
REPLAY_RATE = 100e6  # bytes a second, as the text says


_numbers = itertools.count()


@pytest.fixture
def make_cluster(pgrevive, space):
    made = []

    def make(values):
        cluster = Cluster(pgrevive, space.directory("h"), {**values, "WAL_ARCHIVE": "off",
                                                           "ADMINER_PORT": 0}, name=f"p{next(_numbers)}")
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()


@pytest.fixture
def cluster(make_cluster, story):
    return make_cluster(story.values())


def preview(cluster, *words, code=0):
    result = cluster.run("start", "--preview", "--json", *words, check=False)
    assert result.returncode == code, message(result)
    return json.loads(result.stdout)


def info_of(cluster, *words, code=0):
    """What `info` says of a target, of the one repository."""
    result = cluster.run("info", "--json", *words, check=False)
    assert result.returncode == code, message(result)
    told, = json.loads(result.stdout)
    assert told.pop("repo_key") == 1
    return told


# What a start would do beside the restore, and what is measured anew each time.
OF_A_CLUSTER = {"restores", "nodes", "free_bytes"}
MEASURED = {"sampled_bytes_per_second", "fetch_seconds", "replay_seconds"}


def assert_info_agrees(told, asked):
    assert told.keys() - OF_A_CLUSTER == asked.keys()
    for key in asked.keys() - MEASURED:
        assert told[key] == asked[key], key


def sums(directory):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in directory.rglob("*") if path.is_file()}


def test_latest(cluster, story):
    """Numbers that are right, and nothing changed by asking for them."""
    before = sums(story.repo.path)
    told = preview(cluster)
    info = story.repo.info()[0]["backup"][-1]
    segments = [name for name in repofiles.segments(story.repo.path)
                if name >= info["archive"]["start"]]
    assert told["backup"]["label"] == story.label == info["label"]
    assert told["backup"]["size"] == info["info"]["size"]
    assert told["fetch_bytes"] == info["info"]["repository"]["size"]
    assert told["nodes"] == 2 and told["timeline"] == 1 and told["reachable"] is True
    assert told["wal"]["first"] == segments[0]
    assert told["wal"]["last"] == segments[-1] == story.newest_wal
    assert told["wal"]["segments"] == len(segments) and told["wal"]["gaps"] == []
    archive = repofiles.archive(story.repo.path)
    stored = sum(archive[name].stat().st_size for name in segments)
    assert told["wal"]["fetch_bytes"] == stored > 0
    assert told["free_bytes"] > 0 and told["sampled_bytes_per_second"] > 0
    # The estimates follow from the sizes: what is fetched, and the WAL at the rate that is said, or as
    # fast as it comes. What is begun of a second counts.
    for seconds, exactly in (
            (told["fetch_seconds"], told["fetch_bytes"] / told["sampled_bytes_per_second"]),
            (told["replay_seconds"], max(len(segments) * told["wal"]["segment_size"] / REPLAY_RATE,
                                         stored / told["sampled_bytes_per_second"]))):
        assert seconds >= 1 and exactly - 0.001 <= seconds < exactly + 1, (seconds, exactly)
    assert told["wal"]["segment_size"] == 16 << 20
    text = cluster.run("start", "--preview").stdout
    for words in (story.label, "latest", f"{len(segments)} segments", "2 nodes", "nothing",
                  " of WAL\n", "to replay, "):
        assert words in text, text
    assert_info_agrees(told, info_of(cluster, "--type", "default"))
    text = cluster.run("info", "--type", "default").stdout
    for words in (story.label, "latest", f"{len(segments)} segments", "for each node", "nothing",
                  "/s of a sample"):
        assert words in text, text
    assert not cluster.root.exists()
    assert sums(story.repo.path) == before


@pytest.mark.parametrize("name", ["immediate", "xid", "time", "time, exclusive", "lsn", "name"])
def test_targets_of_the_story(cluster, story, name):
    """What can be reached is said to be."""
    target = story.targets[name]
    words = ["--type", target.kind]
    if target.value:
        words += ["--target", target.value]
    if target.exclusive:
        words += ["--target-exclusive"]
    if target.label:
        words += ["--set", target.label]
    told = preview(cluster, *words)
    assert told["reachable"] is True, told
    wal = told["wal"]
    assert wal["fetch_bytes"] == sum(path.stat().st_size for name, path
                                     in repofiles.archive(story.repo.path).items()
                                     if len(name) == 24 and wal["first"] <= name <= wal["last"])
    if target.label:
        assert told["backup"]["label"] == target.label
    assert_info_agrees(told, info_of(cluster, *words))


def newest_transaction(cluster, story):
    """When the last transaction that is archived ended, as `start` itself finds out."""
    told = preview(cluster, "--type", "time", "--target", story.targets["time"].value)
    return datetime.datetime.fromtimestamp(told["newest_transaction_us"] / 1e6,
                                           datetime.timezone.utc)


def refusals(cluster, story, space, words, *expected):
    """By preview, `start` and `restore` alike, and nothing was made."""
    told = preview(cluster, *words, code=NOT_FOUND)
    assert told["reachable"] is False and told["problem"]["hint"]
    plain = cluster.run("start", "--preview", *words, check=False)
    assert plain.returncode == NOT_FOUND and "problem" in plain.stdout, message(plain)
    targeted = words if "--type" in words else ["--type", "default", *words]
    assert_info_agrees(told, info_of(cluster, *targeted, code=NOT_FOUND))
    start = cluster.start(*words, check=False)
    assert start.returncode == NOT_FOUND, message(start)
    assert not cluster.root.exists()
    data = space.directory("data")
    restore = cluster.pgrevive("--stanza", "main", "restore", "--repo-path",
                               cluster.values["REPO_PATH"], "--node", f"primary={data}", *words,
                               check=False,
                               env={**os.environ, "PGREVIVE_CIPHER_PASS": CIPHER_PASS})
    assert restore.returncode == NOT_FOUND, message(restore)
    assert not list(data.iterdir())
    for text in (told["problem"]["message"] + told["problem"]["hint"], plain.stderr, start.stderr,
                 restore.stderr):
        for part in expected:
            assert part in text, text


def test_lsn_that_is_not_archived(cluster, story, space):
    last = int(story.newest_wal[16:], 16)
    end = f"0/{last + 1:X}000000"
    refusals(cluster, story, space, ["--type", "lsn", "--target", end],
             f"ends at {end}", story.label, "can be recovered from")
    # The last segment was switched early: no record begins in what it has left.
    unused = f"0/{last:X}FFFFF8"
    refusals(cluster, story, space, ["--type", "lsn", "--target", unused],
             "whose newest record begins at 0/", story.label, "can be recovered from")
    said = preview(cluster, "--type", "lsn", "--target", unused, code=NOT_FOUND)["problem"]
    newest = re.search("newest record begins at ([0-9A-F/]+)", said["message"])[1]
    assert f"LSN {newest} on timeline" in said["hint"]
    assert preview(cluster, "--type", "lsn", "--target", newest)["reachable"] is True


def test_lsn_before_the_backup(cluster, story, space):
    refusals(cluster, story, space,
             ["--type", "lsn", "--target", "0/1000000", "--set", story.label],
             "lies before", story.label)


def test_time_that_is_not_archived(cluster, story, space):
    newest = newest_transaction(cluster, story)
    refusals(cluster, story, space, ["--type", "time", "--target", "2099-01-01 00:00:00+00"],
             "is not in the archive", f"{newest:%Y-%m-%d %H:%M:%S}+00")


def test_time_just_before_the_newest(cluster, story):
    """A microsecond decides: PostgreSQL stops at the first transaction after the target."""
    newest = newest_transaction(cluster, story)
    text = f"{newest - datetime.timedelta(microseconds=1):%Y-%m-%d %H:%M:%S.%f}+00"
    assert preview(cluster, "--type", "time", "--target", text)["reachable"] is True
    text = f"{newest:%Y-%m-%d %H:%M:%S.%f}+00"
    assert preview(cluster, "--type", "time", "--target", text, code=NOT_FOUND)["problem"]
    assert preview(cluster, "--type", "time", "--target", text,
                   "--target-exclusive")["reachable"] is True


def test_time_before_the_backup(cluster, story, space):
    newest = newest_transaction(cluster, story) - datetime.timedelta(days=1)
    refusals(cluster, story, space,
             ["--type", "time", "--target", f"{newest:%Y-%m-%d %H:%M:%S}+00", "--set", story.label],
             "lies before", story.label)


def test_gap(make_cluster, story, space, own_repository):
    """Recovery to the end of an archive with a hole would end in it."""
    first = repofiles.segments(own_repository)
    start = story.repo.info()[0]["backup"][0]["archive"]["stop"]
    lost = [name for name in first if name > start][0]
    repofiles.archive(own_repository)[lost].unlink()
    cluster = make_cluster({**story.values(), "REPO_PATH": own_repository,
                            "RESTORE_SET": story.repo.labels[0]})
    refusals(cluster, story, space, ["--set", story.repo.labels[0]], "gap", lost)
    # What lies before it can be had.
    assert preview(cluster, "--type", "immediate", "--set",
                   story.repo.labels[0])["reachable"] is True


def test_backup_without_its_wal(make_cluster, story, space, own_repository):
    start = story.repo.info()[0]["backup"][-1]["archive"]["start"]
    repofiles.archive(own_repository)[start].unlink()
    cluster = make_cluster({**story.values(), "REPO_PATH": own_repository})
    refusals(cluster, story, space, ["--set", story.label], f"the archive has no {start}",
             story.label)


def conf_of_two(space, story, first, second):
    """A pgbackrest.conf of these two repositories, with the story's secrets."""
    secrets = story.repo.secrets()
    return write_conf(space.path / "two.conf", {
        "global": {"repo1-path": first, "repo2-path": second, "lock-path": space.path / "lock",
                   "log-level-file": "off", **secrets,
                   **{key.replace("repo1", "repo2"): v for key, v in secrets.items()}},
        "main": {"pg1-path": space.path / "data"}})


def test_another_repository_that_has_more(make_cluster, story, space, own_repository):
    """A cluster is made of the first. Where its archive stands still and another's goes on, "latest" is
    not the newest that there is, and it is said by name: by preview, `start` and `doctor`."""
    last, before = repofiles.segments(own_repository)[-1:-3:-1]
    repofiles.archive(own_repository)[last].unlink()
    conf = conf_of_two(space, story, own_repository, story.repo.path)
    space.directory("lock", owner=server_user())
    run(["pgbackrest", f"--config={conf}", "--stanza=main", "--repo=1", f"--set={story.label}", "expire"],
        user=server_user())
    cluster = make_cluster({})
    cluster.options = ["--config", conf, "--stanza", "main"]
    one, two = f"repo1 ({own_repository})", f"repo2 ({story.repo.path})"
    said = (f"{two} has newer WAL ({last}; {one} ends with {before}) and a newer backup ({story.label}; "
            f"the newest of {one} is {story.repo.labels[0]}), and the cluster is made of {one}")
    asked = cluster.run("start", "--preview", "--json")
    assert f"warning: {said}\nhint: to have that too, make it of {two}" in asked.stderr, asked.stderr
    told = json.loads(asked.stdout)
    assert (told["backup"]["label"], told["wal"]["last"]) == (story.repo.labels[0], before)

    def line():
        checks = json.loads(cluster.run("doctor", "--json").stdout)["checks"]
        found, = (line for line in checks if line["name"].startswith("repo2"))
        return found

    assert (line()["result"], line()["detail"]) == ("warning", said)
    assert two in line()["remedy"]
    started = cluster.start()
    assert f"warning: {said}\n" in started.stderr, message(started)
    end = cluster.status()["supervisor"]["recovery_end"]
    assert (end["newest_archived_wal"], end["wal_left"]) == (before, 0), end
    # There is nothing to choose any more.
    assert "newer" not in message(cluster.run("restart"))

    cluster = make_cluster({})
    cluster.options = ["--config", conf_of_two(space, story, story.repo.path, own_repository),
                       "--stanza", "main"]
    assert "newer" not in cluster.run("start", "--preview").stderr
    assert (line()["result"], "nothing newer" in line()["detail"]) == ("ok", True)
    nowhere = space.path / "nosuch"
    conf_of_two(space, story, story.repo.path, nowhere)
    assert f"whether repo2 ({nowhere}) has newer WAL or backups than repo1 is not known: " in \
        cluster.run("start", "--preview").stderr
    assert line()["result"] == "warning"


def test_info_of_several_repositories(pgrevive, story, workspace, own_repository):
    """Each is told of; it is enough that one leads there."""
    last = repofiles.segments(own_repository)[-1]
    repofiles.archive(own_repository)[last].unlink()

    def asked(first, second, *words):
        conf = conf_of_two(workspace, story, first, second)
        return pgrevive("--config", conf, "--stanza", "main", "info", *words, check=False)

    words = ["--type", "lsn", "--target", story.targets["lsn"].value]
    result = asked(story.repo.path, own_repository, "--json", *words)
    assert [(told["repo_key"], told["repository"]) for told in json.loads(result.stdout)] == [
        (1, str(story.repo.path)), (2, str(own_repository))]
    result = asked(workspace.path / "nosuch", story.repo.path, *words)
    assert result.returncode == 0 and "warning: repository 1: " in result.stderr, message(result)
    assert "repository 2: what a restore to that target would be" in result.stdout
    unread, read = json.loads(asked(workspace.path / "nosuch", story.repo.path, "--json", *words).stdout)
    assert (unread["repo_key"], unread["reachable"], read["repo_key"]) == (1, None, 2)
    assert unread["repository"] == str(workspace.path / "nosuch") and unread["problem"]["message"], unread
    lost = ["--type", "lsn", "--target", f"0/{int(last[16:], 16):X}000100"]
    assert asked(own_repository, story.repo.path, *lost).returncode == 0
    result = asked(own_repository, own_repository, *lost)
    assert result.returncode == NOT_FOUND and "hint: " in result.stderr, message(result)
    assert result.stdout.count("problem") == 2
    result = asked(own_repository, own_repository, "--type", "standby")
    assert result.returncode == USAGE and "is no target" in result.stderr


def test_time_in_words(cluster, story):
    """The zone of the words counts; what would move is refused in .env."""
    at = datetime.datetime.fromisoformat(story.targets["time"].value + ":00").astimezone(
        datetime.timezone(datetime.timedelta(hours=-3)))
    words = f"{at:%Y-%m-%d %H:%M:%S.%f} America/Sao_Paulo"
    told = preview(cluster, "--type", "time", "--target", words)
    utc = at.astimezone(datetime.timezone.utc)
    assert told["target"] == f"time {utc:%Y-%m-%d %H:%M:%S.%f}+00" and told["reachable"] is True
    text = cluster.run("start", "--preview", "--type", "time", "--target", words).stdout
    assert f"target: {utc:%Y-%m-%d %H:%M:%S.%f}+00 ({words})" in text
    cluster.values.update(RECOVERY_TARGET_TYPE="time", RECOVERY_TARGET="10 minutes ago")
    cluster.write_env()
    result = cluster.start(check=False)
    assert result.returncode == USAGE and "another moment at each start" in result.stderr, \
        message(result)


def test_of_a_cluster_that_is_there(cluster):
    cluster.start()
    told = preview(cluster)
    assert told == {"restores": False}
    assert "only start its servers" in cluster.run("start", "--preview").stdout
