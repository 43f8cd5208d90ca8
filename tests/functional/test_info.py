"""`pgrevive info --output=json` says what `pgbackrest info --output=json` says.

Monitoring tools read that output, so it is compared value by value.
"""

import json

import pytest

from rig.fixtures import ALL
from rig.matrix import FORMS, FURTHER
from rig.values import moment

BY_NAME = {form.name: form for form in FORMS}

# Keys (as a path of names) that one side may have alone, and why.
TOLERATED = {
    ("status", "lock"): "whether pgBackRest is running on that host is pgBackRest's to know",
}


def flat(value, path=()):
    """A nested value as {path: leaf}; list indexes are part of the path."""
    if isinstance(value, dict) and value:
        return {k: v for key, part in value.items() for k, v in flat(part, path + (key,)).items()}
    if isinstance(value, list) and value:
        return {k: v for i, part in enumerate(value) for k, v in flat(part, path + (i,)).items()}
    return {path: value}


def tolerated(path):
    names = tuple(part for part in path if isinstance(part, str))
    return any(names[:len(known)] == known for known in TOLERATED)


def assert_same(expected, found):
    a, b = flat(expected), flat(found)
    wrong = [f"{'.'.join(map(str, path))}: {b.get(path, 'absent')!r}, "
             f"pgBackRest says {a.get(path, 'nothing')!r}"
             for path in sorted(a.keys() | b.keys(), key=str)
             if not tolerated(path) and (path not in a or path not in b or a[path] != b[path]
                                         or type(a[path]) is not type(b[path]))]
    assert not wrong, "\n".join(wrong)


def ours(pgrevive, conf, *arguments):
    return json.loads(pgrevive("info", "--config", conf, "--output=json", *arguments).stdout)


@pytest.mark.thorough(form=FURTHER)
@pytest.mark.parametrize("form", BY_NAME)
def test_like_pgbackrest(pgrevive, matrix, form):
    """Every form of repository, with three backups and their WAL."""
    repo = matrix.repository(BY_NAME[form])
    expected = repo.info()
    assert [backup["type"] for backup in expected[0]["backup"]] == ["full", "diff", "incr"]
    assert_same(expected, ours(pgrevive, repo.conf, "--stanza", "main"))


def test_all_stanzas_without_naming_one(pgrevive, matrix):
    """Without --stanza every stanza of the repository is shown."""
    repo = matrix.repository(FORMS[3])
    expected = json.loads(_pgbackrest_info(repo))
    assert_same(expected, ours(pgrevive, repo.conf))


def _pgbackrest_info(repo):
    from rig.process import run
    return run(["pgbackrest", f"--config={repo.conf}", "--output=json", "info"],
               user=repo.user).stdout


def test_one_backup(pgrevive, matrix):
    """--set adds databases, links and tablespaces of one backup."""
    repo = matrix.repository(FORMS[3])
    label = repo.labels[1]
    expected = json.loads(repo.pgbackrest("--output=json", f"--set={label}", "info").stdout)
    assert_same(expected, ours(pgrevive, repo.conf, "--stanza", "main", "--set", label))


@pytest.mark.parametrize("name", ALL)
def test_recorded(pgrevive, workspace, unpack_fixture, name):
    """Block incremental backups, whose sizes are told in other words."""
    fixture = unpack_fixture(name)
    conf = fixture.conf(workspace.path / "pgbackrest.conf")
    assert_same(fixture.info(), ours(pgrevive, conf, "--stanza", "main"))


def test_for_people(pgrevive, matrix):
    """Without --output=json: labels, sizes and WAL are in the text."""
    repo = matrix.repository(FORMS[0])
    text = pgrevive("info", "--config", repo.conf, "--stanza", "main").stdout
    archive = repo.info()[0]["archive"][0]
    for word in (*repo.labels, f"{archive['min']} / {archive['max']}", "main"):
        assert word in text


def test_newest_commit(pgrevive, story):
    """What the server says of its newest transaction that was archived; in the JSON on demand."""
    conf = story.repo.conf
    [stanza] = ours(pgrevive, conf, "--stanza", "main", "--newest-commit")
    [archive] = stanza["archive"]
    [timeline] = archive.pop("timeline")
    said, switched = map(moment, story.newest_commit)
    assert said <= moment(timeline["newest-commit"]) <= switched
    assert (timeline["id"], timeline["max"]) == (1, story.newest_wal)
    assert timeline["segments-read"] == 1
    text = pgrevive("info", "--config", conf, "--stanza", "main").stdout
    assert f"newest commit on timeline 1: {timeline['newest-commit']}\n" in text
    assert_same([stanza], ours(pgrevive, conf, "--stanza", "main"))


def test_unknown_stanza(pgrevive, matrix):
    """pgBackRest says status 1 and exits 0; so do we."""
    repo = matrix.repository(FORMS[0])
    from rig.process import run
    expected = json.loads(run(["pgbackrest", f"--config={repo.conf}", "--stanza=nosuch",
                               "--output=json", "info"], user=repo.user).stdout)
    assert_same(expected, ours(pgrevive, repo.conf, "--stanza", "nosuch"))
