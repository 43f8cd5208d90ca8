"""What `restore` writes for the server's recovery is what pgBackRest writes, for every --type."""

import re

import pytest

from rig.postgres import server_user
from rig.workspace import give

WORDS = {
    "default": ["--type=default"],
    "default, timeline": ["--type=default", "--target-timeline=1"],
    "immediate": ["--type=immediate", "--target-action=promote"],
    "time": ["--type=time", "--target={time}", "--target-action=shutdown"],
    "time, exclusive": ["--type=time", "--target={time}", "--target-exclusive"],
    "name": ["--type=name", "--target=half way", "--target-action=pause"],
    "lsn": ["--type=lsn", "--target={lsn}", "--target-exclusive"],
    "xid": ["--type=xid", "--target={xid}", "--target-action=promote",
            "--target-timeline=latest"],
    "standby": ["--type=standby"],
    "standby, timeline": ["--type=standby", "--target-timeline=current"],
    "preserve": ["--type=preserve"],
}


def recovery_of(data):
    """Signal files, and settings of recovery but for the command, which is each tool's own."""
    path = data / "postgresql.auto.conf"
    if not path.exists():
        return sorted(path.name for path in data.glob("*.signal")), None, False
    lines = path.read_text().splitlines()
    settings = dict(re.fullmatch(r"(\w+)\s*=\s*'(.*)'", line).groups() for line in lines
                    if re.match(r"(recovery_|restore_command|primary_|standby)", line))
    command = settings.pop("restore_command", "")
    return sorted(path.name for path in data.glob("*.signal")), settings, bool(command)


@pytest.mark.parametrize("name", WORDS)
def test_like_pgbackrest(pgrevive, workspace, story, name):
    # What the archive does not hold would be refused.
    words = [word.format(**{kind: story.targets[kind].value for kind in ("time", "lsn", "xid")})
             for word in WORDS[name]]
    conf = workspace.path / "pgbackrest.conf"
    conf.write_text(story.repo.conf.read_text())
    give(conf, server_user())
    # By name, so that no target needs a backup from before it.
    words = [f"--set={story.label}", *words]
    theirs = workspace.directory("theirs", owner=server_user(), mode=0o700)
    workspace.directory("theirs-ts", owner=server_user(), mode=0o700)
    story.repo.pgbackrest(f"--pg1-path={theirs}",
                          f"--tablespace-map-all={workspace.path / 'theirs-ts'}", *words, "restore")
    nodes = {node: workspace.path / node for node in ("primary", "replica")}
    pgrevive.restore(conf, nodes, *words, tablespaces=workspace.path / "ts", user=server_user())
    expected = recovery_of(theirs)
    for node, data in nodes.items():
        assert recovery_of(data) == expected, node
