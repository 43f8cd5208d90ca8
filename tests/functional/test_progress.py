"""What a person sees while it works: numbers redrawn on a terminal, plain lines anywhere else."""

import os
import re
import threading

import pytest

from rig.cluster import Cluster, env_text
from rig.postgres import server_user
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS, MARKERS, ROWS
from rig.terminal import on_a_terminal, screens
from rig.throttle import SlowLine
from rig.workspace import give

NUMBERS = re.compile(r"( ?\d+) %  (\S+ \S?B) of (\S+ MB)  (\d+)/(\d+) files"
                     r"(?:  (\S+ \S?B)/s)?(?:  (\d\S* \S+) left)?")


@pytest.fixture(scope="module")
def slow_values(story, bucket, space):
    """An .env's settings for the story's repository at the end of a slow line: a restore takes
    some seconds."""
    prefix = bucket.upload_once(story.repo.path, "story/pgbackrest")
    line = SlowLine(bucket.gateway.port, 1 << 20)
    yield {**cluster_values(bucket, prefix), "S3_ENDPOINT": f"https://localhost:{line.port}",
           "S3_VERIFY_TLS": "false", "REPO_CIPHER_PASS": CIPHER_PASS}
    line.close()


def restore_words(workspace, values):
    env = workspace.path / "slow.env"
    env.write_text(env_text(values))
    give(env, server_user())
    return ["--env-file", env, "restore", "--type", "none", "--tablespace-map-all",
            workspace.path / "ts", "--node", f"primary={workspace.path / 'primary'}",
            "--node", f"replica={workspace.path / 'replica'}"]


def drawn_lines(text):
    """What was drawn one over the other, in order."""
    return [part for line in text.split("\n") if "\r\x1b[K" in line
            for part in re.split(r"\r\x1b\[K", line) if "%" in part]


def assert_moves(lines):
    """Percent, bytes and files grow; rate and the time left are told."""
    matches = [match for line in lines if (match := NUMBERS.search(line))]
    assert len(matches) > 10, lines
    percents = [int(match[1]) for match in matches]
    assert percents == sorted(percents) and percents[-1] - percents[0] > 30, percents
    assert len({match[2] for match in matches}) > 5
    files = [int(match[4]) for match in matches]
    assert files == sorted(files) and files[-1] <= int(matches[0][5])
    assert sum(match[6] is not None for match in matches) > 5, lines
    left = [match[7] for match in matches if match[7]]
    assert len(left) > 2 and left[0] != left[-1], lines


def test_restore_on_a_terminal(pgrevive, workspace, slow_values):
    text = on_a_terminal([pgrevive.path, *restore_words(workspace, slow_values)], 110)
    lines = drawn_lines(text)
    assert_moves(lines)
    assert all(re.search(r"\[#*-*\] ", line) for line in lines), lines
    assert all(len(line) < 110 for line in lines)
    # Nothing half drawn is left: the last word is a plain line.
    assert re.search(r"\nrestored \S+ MB in \d+ files in [^\r\x1b]*\n$", text), text[-300:]


def test_restore_on_a_narrow_terminal(pgrevive, workspace, slow_values):
    """Numbers without the bar, and no line that would wrap, or redrawing would not work."""
    lines = drawn_lines(on_a_terminal([pgrevive.path, *restore_words(workspace, slow_values)], 70))
    assert len(lines) > 10
    assert all(len(line) < 70 and "#" not in line for line in lines), lines
    assert any("files" in line for line in lines)


def test_restore_into_a_file(pgrevive, workspace, slow_values):
    """Whole lines without any code of a terminal, and not many of them."""
    result = pgrevive(*restore_words(workspace, slow_values))
    for text in (result.stdout, result.stderr):
        assert "\x1b" not in text and "\r" not in text
    assert 3 <= len(result.stdout.splitlines()) < 20, result.stdout
    assert "restored" in result.stdout


def test_start_on_a_terminal(pgrevive, space, slow_values):
    """Every phase with its time, the restore with its numbers, and at the end how to connect."""
    cluster = Cluster(pgrevive, space.directory("h"), {
        **slow_values, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="seen")
    try:
        text = on_a_terminal([pgrevive.path, "--env-file", cluster.env_file, "start"], 110,
                             env=cluster.environment)
        assert_moves(drawn_lines(text))
        shown = re.sub(r"[^\n]*\r\x1b\[K", "", text)
        for phase in ("preparing", "restoring", "recovering", "promoting", "configuring",
                      "joining replicas"):
            assert re.search(rf"^  {phase} +\d\S* \S+", shown, re.MULTILINE), shown
        assert "\x1b" not in shown and "\r" not in shown, shown
        assert f"psql -h localhost -p {cluster.primary_port}" in shown
        # The terminal is gone, the cluster is not.
        assert cluster.status()["supervisor_running"] is True
        assert cluster.sql("replica", MARKERS) == ROWS
        # WAL_ARCHIVE=off
        assert cluster.sql("primary", "show archive_mode") == "off"
        assert cluster.status()["archiving"] == "off"
    finally:
        cluster.gone()


def is_cheap_to_watch(pgrevive, cluster):
    """How large the nodes are is looked at once a minute, and not each time that it is drawn. Meanwhile
    its files are gone for a moment, as when it is made anew."""
    settings = cluster.root / "settings.json"
    hidden = cluster.root / "settings.hidden"
    file = cluster.root / "primary" / "data" / "large"
    timers = [threading.Timer(1.5, settings.rename, [hidden]), threading.Timer(4, hidden.rename, [settings]),
              threading.Timer(2.5, lambda: file.touch() or os.truncate(file, 1 << 30))]
    sized = r"primary +15\.\S+ +\d+ +(\S+ \S?B) "
    # Until it has been seen again, and some more.
    text = on_a_terminal([pgrevive.path, "--env-file", cluster.env_file, "status", "--watch"], 80,
                         env=cluster.environment, then=lambda: [timer.start() for timer in timers],
                         until=f"(?s)cannot look.*\x1b\\[H\x1b\\[Kcluster (?:.*{sized}){{3}}")
    for timer in timers:
        timer.join()
    file.unlink()
    assert len(set(re.findall(sized, text))) == 1, text
    # What was seen last stays, and it is told that it is no longer so.
    seen = ["\n".join(screen) for screen in screens(text)]
    blind = [screen.startswith("cannot look at the cluster: ") for screen in seen]
    assert any(blind) and not blind[0] and not blind[-1], text
    for screen in seen[blind.index(True):][:blind.count(True)]:
        assert re.search(r"settings\.json: No such file or\s+directory\nas it was \d+ s ago:\n\ncluster ",
                         screen), screen


def test_status_watched_on_a_terminal(pgrevive, space, slow_values):
    """From the first look at a start to the running cluster, in place and at 80 columns; it shows what
    `status` says."""
    cluster = Cluster(pgrevive, space.directory("w"), {
        **slow_values, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="watched")
    try:
        cluster.start("--detach")
        text = on_a_terminal([pgrevive.path, "--env-file", cluster.env_file, "status", "--watch"], 80,
                             env={**cluster.environment, "LC_ALL": "C.UTF-8"}, until="watched: running since")
        seen = screens(text)
        restoring = [match for screen in seen for line in screen
                     if (match := re.match(r"progress +(\d+) %", line))]
        percents = [int(match[1]) for match in restoring]
        assert len(percents) > 2 and percents == sorted(percents) and percents[-1] > percents[0], seen
        assert any("/s" in match.string and "left" in match.string for match in restoring), restoring
        lines = [line for screen in seen for line in screen]
        assert any(re.match(r"rate +\S+ \S?B/s now, \S+ \S?B/s on average; \S+ \S?B fetched", line)
                   for line in lines), seen
        # The end of its log is there as soon as it has one.
        assert any(re.match(r"log +\d{4}-\d\d-\d\d .* INFO: ", line) for line in lines), lines
        for phase in (r"restoring +\d\S* s  \d\S* \S+ left", "recovering +-  time unknown",
                      "joining replicas +-  time unknown"):
            assert any(re.search(f" {phase}$", line) for line in lines), (phase, seen)
        status = cluster.status()
        last = "\n".join(seen[-1])
        for node in status["nodes"]:
            assert re.search(rf"^{node['name']} +{node['role']} +{node['port']} +accepting +"
                             rf"{node['timeline']} ", last, re.MULTILINE), last
        assert last.count("\nprimary ") == 2 and "progress" not in last  # in two tables
        assert text.startswith("\x1b[?25l") and text.endswith("\x1b[?25h")
        assert re.search(r"^phases +preparing \d\S* s, restoring ", last, re.MULTILINE), last
        lag = re.search(r"^replica .* streaming +(\S+ \S?B), \d\.\d s$", last, re.MULTILINE)
        assert lag, last
        # Over time, with what a terminal has for it; nobody here keeps looking at the source.
        drawn = re.search(r"^lag +replica  ([▁▂▃▄▅▆▇█ ]+)  at most \S+ \S?B, \d+\.\d s in 15 min$", last,
                          re.MULTILINE)
        assert drawn and drawn[1].strip(), last
        assert not re.search("^(source|log) ", last, re.MULTILINE), last
        is_cheap_to_watch(pgrevive, cluster)
    finally:
        cluster.gone()
