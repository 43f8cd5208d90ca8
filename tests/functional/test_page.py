"""The console's page in a real browser, against a real cluster and a restore over a slow line."""

import json
import os
import pathlib
import re
import shlex
import signal
import urllib.parse

import pytest

from rig import browser
from rig.cluster import Cluster
from rig.console import Console
from rig.process import free_port, wait_until
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS
from rig.throttle import SlowLine


def picture(name):
    """Where a picture of the page goes, for people to look at; nowhere unless they ask for it."""
    place = os.environ.get("PGREVIVE_SCREENSHOTS")
    return pathlib.Path(place) / f"{name}.png" if place else None


@pytest.fixture(scope="module")
def seen(pgrevive, space, story, bucket):
    """A cluster, and what a browser saw from the first seconds of its start on, with a reload in the
    midst of the restore."""
    browser.install()
    prefix = bucket.upload_once(story.repo.path, "story/pgbackrest")
    # Slow until the browser has seen enough, however slow that is itself.
    line = SlowLine(bucket.gateway.port, 150 << 10)
    cluster = Cluster(pgrevive, space.directory("h"), {
        **cluster_values(bucket, prefix), "S3_ENDPOINT": f"https://localhost:{line.port}",
        "S3_VERIFY_TLS": "false", "REPO_CIPHER_PASS": CIPHER_PASS, "WAL_ARCHIVE": "off",
        "ADMINER_PORT": 0, "CONSOLE_PORT": free_port()}, name="seen")
    cluster.url = f"http://127.0.0.1:{cluster.values['CONSOLE_PORT']}/"
    watching = browser.begin(cluster.url, until="running", midway=picture("restore"))
    try:
        browser.told(watching, "ready")
        cluster.start("--detach")
        browser.told(watching, "seen")
        line.rate = 16 << 20
        cluster.watched = browser.finish(watching)
        yield cluster
    finally:
        browser.end(watching)
        line.close()
        cluster.gone()


def is_sound(looked, url):
    """Nobody complains, nothing comes from elsewhere, and axe has nothing to say."""
    assert looked["complaints"] == []
    assert {re.match(r"[a-z]+://[^/]+/", asked)[0] for asked in looked["requests"]} == {url}
    assert looked["violations"] == [] and looked["rules_passed"] > 20, looked["violations"]


def test_a_restore_in_the_browser(seen):
    looks = seen.watched["looks"]
    is_sound(seen.watched, seen.url)
    bars = [look["bar"] for look in looks if look["phase"] == "restoring" and look["bar"] is not None]
    assert len(set(bars)) >= 3 and bars == sorted(bars), bars
    # It was seen before and after the reload.
    assert seen.watched["enough"] and 0 < seen.watched["reloaded_at"] < len(looks)
    assert any(look["phase"] == "restoring" for look in looks[seen.watched["reloaded_at"]:])
    numbers = [look["restore"] for look in looks if look["bar"]]
    assert any(number["Rate now"].endswith("B/s") and number["Time left"] != "–" for number in numbers)
    at_work = [worker for look in looks for worker in look["workers"] if " of " in worker[2]]
    assert at_work and all(worker[1].startswith("pg_") for worker in at_work), looks[-1]
    done = seen.status()["restores"][0]
    assert numbers[-1]["Backup"] == done["backup_label"]
    assert numbers[-1]["Files"].replace(",", "").endswith(f"of {done['progress']['files_total']}")
    # The host's disk may be as full as it likes.
    assert looks[-1]["phase"] == "running" and set(looks[-1]["problems"]) <= {"disk"}


def test_what_is_shown_is_what_the_servers_say(seen):
    looked = browser.look(seen.url, screenshot=picture("page"))
    is_sound(looked, seen.url)
    last = looked["last"]
    assert last["cluster"] == "seen" and last["lang"] == "en" and last["chart"] == 1
    for node in seen.status()["nodes"]:
        shown = last["nodes"][node["name"]]
        assert shown["state"] == "accepting connections"
        assert shown["Port"] == str(node["port"])
        asked = seen.sql(node["name"], "select setting from pg_settings where name = 'max_connections'")
        assert shown["Connections"].endswith(f"of {asked}")
    assert last["nodes"]["primary"]["Timeline"] == seen.sql(
        "primary", "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
    assert [link.removeprefix("→ ") for link in last["links"]] == [seen.sql(
        "primary", "select state from pg_stat_replication")]
    assert last["restores"] == ["done"]
    assert last["picture"] == len(last["backups"]) > 1


def test_a_narrow_dark_page_in_portuguese(seen):
    looked = browser.look(seen.url, width=360, height=740, dark=True, language="pt-BR",
                          screenshot=picture("narrow"))
    is_sound(looked, seen.url)
    assert looked["scroll_width"] <= 360
    assert looked["background"] == "rgb(15, 19, 24)"
    last = looked["last"]
    assert last["lang"] == "pt-BR" and last["phase"] == "no ar"
    assert last["nodes"]["replica"]["state"] == "aceita conexões"


def test_by_keyboard(seen, story):
    """The first key leads past the header, and a preview needs no mouse."""
    looked = browser.look(seen.url, press=["Tab", "Tab"], preview=True, dark=True,
                          screenshot=picture("preview"))
    is_sound(looked, seen.url)
    assert looked["focus"] == ["Skip to content", "Cluster"]
    assert looked["last"]["backups"] == story.repo.labels
    # The moment at which the last backup ended, to the second, may be before its end.
    assert any(f"{label} (" in looked["preview"] for label in story.repo.labels), looked["preview"]
    assert "The archive holds this moment." in looked["preview"], looked["preview"]
    # What is to be copied is what the program takes.
    command = shlex.split(looked["command"][0])
    assert command[:4] == ["pgrevive", "--cluster", "seen", "start"]
    assert "--anew" in seen.run("help", "start").stdout and "--anew" in command
    preview = json.loads(seen.run("console", "--get", "api/v1/preview?" + urllib.parse.urlencode(
        {"type": command[6], "target": command[8]})).stdout)
    assert preview["reachable"] is True and preview["backup"]["label"] in looked["preview"]


def test_logs_with_search(seen):
    looked = browser.look(seen.url, search="ready to accept")
    is_sound(looked, seen.url)
    assert looked["log"] and all("ready to accept" in line for line in looked["log"])


def test_acts_need_the_token(seen):
    token = seen.run("console", "--token").stdout.strip()
    wrong = browser.look(seen.url, token="wrong")
    assert "this needs the token of the cluster" in wrong["said"]
    right = browser.look(seen.url, token=token)
    assert "Test: done" in right["said"] and "passed: " in right["said"], right["said"]
    assert "failed" not in right["said"]
    # What destroys data waits for the name.
    near = browser.look(seen.url, token=token, rebuild="seem")
    is_sound(near, seen.url)
    assert near["sure"] == [False, False] and "replica" in near["asked"]
    assert browser.look(seen.url, token=token, rebuild="seen")["sure"] == [False, True]
    assert seen.status()["supervisor"]["request"] is None


def test_a_problem_is_told_with_its_remedy(seen):
    """While nobody looks after the cluster; in both languages."""
    os.kill(int((seen.root / "run" / "supervisor.lock").read_text()), signal.SIGKILL)
    console = Console(seen.values["CONSOLE_PORT"])
    wait_until(lambda: not console.json("/api/v1/status")["status"]["supervisor_running"], 30,
               "it is noticed")
    for language, problem in (("en-US", "the cluster is not running, and nobody looks after it"),
                              ("pt-BR", "O cluster não está no ar e ninguém cuida dele.")):
        looked = browser.look(seen.url, language=language)
        is_sound(looked, seen.url)
        last = looked["last"]
        told = dict(zip(last["problems"], last["told"], strict=True))["stopped"]
        assert problem in told and "start" in told, last
        assert {node["state"] for node in last["nodes"].values()} <= {
            "accepting connections", "aceita conexões"}
    seen.start()
