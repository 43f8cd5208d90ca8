"""`doctor`: a look at repository and host that changes nothing, and names each mistake by its line."""

import contextlib
import http.server
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import threading
import time

import pytest

from rig import repofiles
from rig.backrest import write_conf
from rig.browser import amount
from rig.case import DENIED, NOT_FOUND, SYSTEM, UNAVAILABLE, USAGE
from rig.cluster import PASSWORD, Cluster
from rig.postgres import binaries, server_user
from rig.process import free_port, run, wait_until
from rig.program import ROOT, message
from rig.rgw import THERE, Authority
from rig.s3 import S3, source_values
from rig.story import CIPHER_PASS
from rig.throttle import SlowLine
from rig.workspace import give

WAY = ["DNS", "endpoint", "TLS chain", "S3 service", "clock", "region", "signature", "URI style",
       "list"]
DEEPER = ["range read", "round trip", "stanza", "cipher", "newest backup", "chosen backup",
          "throughput", "newest WAL", "WAL of the backup"]
HOST = ["PostgreSQL", "own WAL archive", "locales", "memory", "servers' user", "state directory"]


class Doctor:
    """A cluster that nobody has started, and what `doctor` says of it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.values = cluster.values

    def json(self, code, *words):
        self.cluster.write_env()
        result = self.cluster.run("doctor", "--json", *words, check=False, timeout=60)
        assert result.returncode == code, message(result)
        for secret in (CIPHER_PASS, PASSWORD, self.values.get("S3_SECRET_KEY", PASSWORD)):
            assert secret not in message(result)
        report = json.loads(result.stdout)
        assert report["passed"] == (code == 0)
        lines = {line["name"]: line for line in report["checks"]}
        for line in lines.values():
            assert line["result"] != "failed" or line["remedy"], line
        return lines

    def text(self, code):
        self.cluster.write_env()
        result = self.cluster.run("doctor", check=False, timeout=60)
        assert result.returncode == code, message(result)
        return result.stdout

    def only(self, name, *words, not_run=(), with_it=()):
        """Exactly this line failed (and those `with_it`, by its fault), it and its remedy say these
        words, and those were not run."""
        lines = self.json(1)
        failed = [line["name"] for line in lines.values() if line["result"] == "failed"]
        assert failed == [name, *with_it], json.dumps(lines, indent=1)
        said = lines[name]["detail"] + "\n" + lines[name]["remedy"]
        for word in words:
            assert str(word) in said, said
        for other in not_run:
            assert lines[other]["result"] == "not_run", lines[other]
        return lines


@pytest.fixture(scope="module")
def prefix(bucket, story):
    return bucket.upload_once(story.repo.path, "story/pgbackrest")


@pytest.fixture
def doctor(pgrevive, space, bucket, prefix):
    ca_file = space.path / "doctor-ca.crt"
    shutil.copy(bucket.gateway.ca_file, ca_file)
    ca_file.chmod(0o644)
    return Doctor(Cluster(pgrevive, space.path / "d", {
        **source_values(bucket, prefix), "S3_CA_FILE": ca_file,
        "REPO_CIPHER_PASS": CIPHER_PASS}, name="patient"))


@pytest.fixture
def local(pgrevive, space, story):
    return Doctor(Cluster(pgrevive, space.path / "d", story.values(), name="patient"))


def everything_below(directory):
    """But for the settings, which the tests write."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in [directory, *directory.rglob("*")] if path.suffix != ".env"}


def test_all_well(doctor, bucket, space, story):
    """Every line is fine, nothing is changed: not in the bucket, not on the disk."""
    in_bucket = bucket.s3.listing(bucket.name)
    on_disk = everything_below(space.path)
    text = doctor.text(0)
    lines = doctor.json(0)
    assert everything_below(space.path) == on_disk
    assert bucket.s3.listing(bucket.name) == in_bucket

    for name in [*WAY, *DEEPER, *HOST]:
        assert lines[name]["result"] in ("ok", "warning"), lines[name]
    assert "pgrevive test CA" in lines["TLS chain"]["detail"]
    assert story.label in lines["chosen backup"]["detail"]
    assert story.newest_wal in lines["newest WAL"]["detail"] and "ago" in lines["newest WAL"]["detail"]
    assert lines["write"]["result"] == "not_applicable"
    assert "-patient-" in lines["write"]["detail"]
    for port in (doctor.cluster.primary_port, doctor.cluster.replica_port):
        assert lines[f"port {port}"]["result"] == "ok"
    assert lines["disk space"]["result"] == "ok" and "of 2 nodes" in lines["disk space"]["detail"]

    assert max(map(len, text.splitlines())) <= 80, text
    for name in lines:
        assert f"  {name}  " in text, text
    assert " 0 failed" in text
    assert lines["locales"]["detail"] == "all that the databases of the backup need: C.UTF-8"


# The way to the bucket.

def test_wrong_secret(doctor):
    doctor.values["S3_SECRET_KEY"] = "not-the-secret"
    lines = doctor.only("signature", "SignatureDoesNotMatch", "S3_SECRET_KEY",
                        not_run=["URI style", "list", *DEEPER, "disk space", "PostgreSQL"])
    for name in WAY[:6]:
        assert lines[name]["result"] == "ok", lines[name]


def test_bucket_of_another_region(doctor, gateway):
    """Ceph takes any region's name in a signature, and sends those away who ask for a bucket that
    another zonegroup serves; `start` is told the same, before there is anything."""
    doctor.values["S3_REGION"] = "of-nobody"
    assert doctor.json(0)["region"]["result"] == "ok"
    here = gateway.of_two_zonegroups()
    S3(here).make_bucket("moved")
    doctor.values.update(S3_ENDPOINT=here.endpoint, S3_BUCKET="moved", S3_REGION=here.region,
                         S3_ACCESS_KEY=here.access_key, S3_SECRET_KEY=here.secret_key)
    assert doctor.only("stanza", not_run=DEEPER[3:])["region"]["result"] == "ok"
    here.move_there("moved")
    lines = doctor.only("region", "301", f"sends us to {THERE}: set S3_ENDPOINT and S3_REGION",
                        not_run=["signature", "list", *DEEPER])
    refused = doctor.cluster.start(check=False)
    assert refused.returncode == USAGE and lines["region"]["remedy"] in refused.stderr, message(refused)
    assert not doctor.cluster.root.exists()


class Ahead(Cluster):
    """One whose commands see a clock that is ahead by so much: of the program, OpenSSL and curl alike."""

    by = ""

    @property
    def environment(self):
        libraries = list(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        assert libraries, "no libfaketime (package faketime)"
        return {**super().environment, "LD_PRELOAD": libraries[0], "FAKETIME": self.by,
                "DONT_FAKE_MONOTONIC": 1}


@pytest.fixture
def ahead(pgrevive, space, doctor):
    return Doctor(Ahead(pgrevive, space.path / "d", doctor.values, name="patient"))


def test_clock_that_is_off(ahead):
    """The server turns every request away; `start` is told the same, before there is anything."""
    ahead.cluster.by = "+20m"
    lines = ahead.only("clock", "RequestTimeTooSkewed", "20 min", "ahead of the server's",
                       "set the clock of this host", not_run=["region", "signature", *DEEPER])
    assert lines["TLS chain"]["result"] == "ok"
    refused = ahead.cluster.start(check=False)
    assert refused.returncode == DENIED, message(refused)
    assert not ahead.cluster.root.exists()
    for words in ("RequestTimeTooSkewed", lines["clock"]["remedy"]):
        assert words in refused.stderr, message(refused)


def test_clock_that_will_be_off(ahead):
    ahead.cluster.by = "+5m"
    lines = ahead.json(0)
    assert lines["clock"]["result"] == "warning" and "5 min" in lines["clock"]["detail"]
    assert "set the clock of this host" in lines["clock"]["remedy"]


def test_backup_and_wal_that_are_old(pgrevive, space, story):
    """Those of a source that nobody backs up any more, or that does not archive."""
    patient = Doctor(Ahead(pgrevive, space.path / "d", story.values(), name="patient"))
    patient.cluster.by = "+9d"
    lines = patient.json(0)
    for name, remedy in (("newest backup", "see to the backups of the source"),
                         ("newest WAL", "pg_stat_archiver")):
        assert lines[name]["result"] == "warning" and "9 days ago" in lines[name]["detail"], lines[name]
        assert remedy in lines[name]["remedy"]


def test_wrong_key(doctor):
    doctor.values["S3_ACCESS_KEY"] = "NOSUCHKEY"
    doctor.only("signature", "InvalidAccessKeyId", "S3_ACCESS_KEY", not_run=["list"])


def test_wrong_bucket(doctor):
    doctor.values["S3_BUCKET"] = "no-such-bucket"
    lines = doctor.only("URI style", "no-such-bucket", "S3_BUCKET", not_run=["list", *DEEPER])
    assert lines["signature"]["result"] == "ok"


def test_wrong_style(doctor):
    """The bucket is there, and the certificate is not for its name before the host's."""
    doctor.values.update(S3_URI_STYLE="host", S3_ENDPOINT=doctor.values["S3_ENDPOINT"].replace(
        "localhost", "127.0.0.1.nip.invalid"))
    lines = doctor.only("DNS", "nip.invalid", not_run=WAY[1:])
    assert "S3_URI_STYLE" in lines["DNS"]["remedy"]


def test_style_that_works_is_named(doctor, gateway):
    S3(gateway).make_bucket("dotted.name")
    doctor.values.update(S3_URI_STYLE="host", S3_BUCKET="dotted.name")
    doctor.only("TLS chain", "dotted.name.localhost", "set S3_URI_STYLE=path: with it the bucket",
                not_run=WAY[3:])


def test_wrong_ca(doctor, space):
    """`start` is told the same, before there is anything."""
    other = Authority.make(space.directory("other-ca"), name="somebody else")
    space.path.joinpath("other-ca").chmod(0o755)
    other.certificate.chmod(0o644)
    doctor.values["S3_CA_FILE"] = other.certificate
    doctor.only("TLS chain", "S3_CA_FILE", "CN = gateway", "CN = pgrevive test CA", "until 20",
                not_run=WAY[3:])
    refused = doctor.cluster.start(check=False)
    assert refused.returncode == UNAVAILABLE, message(refused)
    assert "S3_CA_FILE" in refused.stderr and "hint: " in refused.stderr, message(refused)
    assert not doctor.cluster.root.exists()


def test_ca_file_of_somebody_else(doctor, space):
    """The servers' user reads it too, whoever calls doctor."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a file that another cannot read")
    ca_file = space.path / "of-root.crt"
    shutil.copy(doctor.values["S3_CA_FILE"], ca_file)
    ca_file.chmod(0o600)
    doctor.values["S3_CA_FILE"] = ca_file
    doctor.only("TLS chain", "of-root.crt", not_run=WAY[:2])


def test_tls_not_verified(doctor):
    del doctor.values["S3_CA_FILE"]
    doctor.values["S3_VERIFY_TLS"] = "false"
    lines = doctor.json(0)
    assert lines["TLS chain"]["result"] == "warning" and "S3_CA_FILE" in lines["TLS chain"]["remedy"]


def test_endpoint_that_refuses(doctor):
    port = free_port()
    doctor.values["S3_ENDPOINT"] = f"https://localhost:{port}"
    lines = doctor.only("endpoint", port, "refused", not_run=[*WAY[2:], *DEEPER])
    assert lines["DNS"]["result"] == "ok"


def test_endpoint_that_says_nothing(doctor):
    """Connections are taken and nothing comes: the look ends all the same."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        doctor.values["S3_ENDPOINT"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        doctor.only("TLS chain", not_run=WAY[3:])
        assert time.monotonic() - begin < 30


class Website(http.server.BaseHTTPRequestHandler):
    """Has the same page for everything."""

    def do_GET(self):
        page = b"<html><body>It works!</body></html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def test_endpoint_that_is_no_s3_service(doctor):
    """Whatever listens there answers that all is well, and has no list of keys."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Website) as website:
        threading.Thread(target=website.serve_forever, daemon=True).start()
        try:
            doctor.values.update(S3_ENDPOINT=f"http://127.0.0.1:{website.server_port}",
                                 WAL_ARCHIVE="off")  # pgBackRest writes over TLS only
            lines = doctor.only("S3 service", "S3_ENDPOINT", not_run=[*WAY[4:], *DEEPER])
            assert lines["endpoint"]["result"] == "ok"
        finally:
            website.shutdown()


def test_no_such_name(doctor):
    doctor.values["S3_ENDPOINT"] = "nosuch.invalid"
    doctor.only("DNS", "nosuch.invalid", "S3_ENDPOINT", not_run=WAY[1:])


def test_slow_line(doctor, gateway, bucket, prefix, story, space):
    """What is told of the line is what it gives, and how long the backup would take on it."""
    s3, own, rate = S3(gateway), "slow-line", 2_000_000
    s3.make_bucket(own)
    run(["s3cmd", "-c", s3.config, "cp", "--recursive", f"s3://{bucket.name}/{prefix}/",
         f"s3://{own}/repo/"])
    # More than goes through while it is tried, which the objects of a small backup are not.
    large = space.path / "large"
    large.write_bytes(os.urandom(16 << 20))
    s3.put(large, own, f"repo/backup/main/{story.label}/bundle/999")
    line = SlowLine(gateway.port, rate)
    try:
        doctor.values.update(S3_BUCKET=own, S3_PATH="/repo",
                             S3_ENDPOINT=f"https://localhost:{line.port}")
        lines = doctor.json(0)
    finally:
        line.close()
    told = lines["throughput"]["detail"]
    found = re.fullmatch(r"(\S+ \S?B)/s \((\S+ \S?B) by \d requests at a time\); "
                         r"the backup's (\S+ \S?B) would take (.+)", told)
    assert found, told
    assert amount(found[1]) == pytest.approx(rate, rel=0.2), told
    assert amount(found[2]) == pytest.approx(3 * rate, rel=0.2), told  # of three seconds
    assert amount(found[4]) == pytest.approx(amount(found[3]) / amount(found[1]), rel=0.1), told
    assert re.fullmatch(r"\d+\.\d ms, the median of some requests", lines["round trip"]["detail"])


# Keys that may do only a part.

@pytest.fixture
def limited(doctor, gateway, bucket, prefix):
    """A function: gives a new user these rights on a bucket of its own, and `doctor` its keys."""
    def limit(name, actions):
        s3, own = S3(gateway), f"limited-{name}"
        s3.make_bucket(own)
        run(["s3cmd", "-c", s3.config, "cp", "--recursive",
             f"s3://{bucket.name}/{prefix}/", f"s3://{own}/repo/"])
        keys = (f"{name.upper()}SKEY0000000000"[:20], f"{name}-secret")
        gateway.add_user(name, *keys)
        policy = doctor.cluster.home.parent / f"{name}.json"
        policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam:::user/{name}"]},
            "Action": actions, "Resource": [f"arn:aws:s3:::{own}", f"arn:aws:s3:::{own}/*"]}]}))
        run(["s3cmd", "-c", s3.config, "setpolicy", policy, f"s3://{own}"])
        doctor.values.update(S3_BUCKET=own, S3_PATH="/repo", S3_ACCESS_KEY=keys[0],
                             S3_SECRET_KEY=keys[1])
        return s3, own
    return limit


def test_keys_that_may_only_read(doctor, limited):
    """They are enough; that the own archive cannot be written to is for `start` to find out."""
    s3, own = limited("onlyreads", ["s3:GetObject", "s3:ListBucket"])
    before = s3.listing(own)
    lines = doctor.json(0)
    assert s3.listing(own) == before
    for name in [*WAY, *DEEPER]:
        assert lines[name]["result"] in ("ok", "warning"), lines[name]
    assert "not tried" in lines["write"]["detail"]


def test_keys_that_may_not_list(doctor, limited):
    limited("blindone", ["s3:GetObject"])
    lines = doctor.json(1)
    assert lines["list"]["result"] == "failed" and "s3:ListBucket" in lines["list"]["remedy"]
    assert "s3:GetObject" not in lines["list"]["remedy"]
    for name in ("signature", "range read", "stanza", "chosen backup"):
        assert lines[name]["result"] == "ok", lines[name]


def test_keys_that_may_not_read(doctor, limited):
    limited("onlylists", ["s3:ListBucket"])
    doctor.only("range read", "s3:GetObject", not_run=DEEPER[1:])


# What the repository holds.

def test_wrong_passphrase(doctor):
    doctor.values["REPO_CIPHER_PASS"] = "another"
    lines = doctor.only("cipher", "passphrase", not_run=DEEPER[4:])
    assert lines["stanza"]["result"] == "ok"


def test_wrong_stanza(doctor):
    doctor.values["PGBACKREST_STANZA"] = "nosuch"
    doctor.only("stanza", "nosuch", "main", not_run=["range read", *DEEPER[3:]])


def test_wrong_path(doctor):
    doctor.values["S3_PATH"] = "/story/elsewhere"
    doctor.only("stanza", "story/elsewhere", not_run=DEEPER[3:])


def test_no_backup_for_the_target(doctor):
    doctor.values["RESTORE_SET"] = "20200101-000000F"
    doctor.only("chosen backup", "20200101-000000F", not_run=DEEPER[6:])


def test_words_choose_as_those_of_start(doctor, story):
    first = story.repo.labels[0]
    assert story.label != first
    assert first in doctor.json(0, "--set", first)["chosen backup"]["detail"]
    target = story.targets["time"].value
    lines = doctor.json(0, "--type", "time", "--target", target)
    assert target in lines["recovery target"]["detail"]
    assert lines["chosen backup"]["result"] == "ok"
    lines = doctor.json(1, "--type", "standby")
    assert lines["recovery target"]["result"] == "failed"


def test_target_out_of_reach(doctor, story):
    """What `start` would refuse, with the points that can be had."""
    lines = doctor.json(1, "--type", "lsn", "--target", "F/0")
    assert lines["target in reach"]["result"] == "failed"
    assert "F/0" in lines["target in reach"]["detail"]
    assert story.label in lines["target in reach"]["remedy"]
    lines = doctor.json(0)
    assert lines["target in reach"]["result"] == "ok"
    assert story.newest_wal in lines["target in reach"]["detail"]


def test_source_that_may_live(doctor, story):
    """WAL_ARCHIVE=source: the story's source was there a moment ago."""
    doctor.values.update(WAL_ARCHIVE="source", WAL_ARCHIVE_SILENCE=86400)
    lines = doctor.json(1)
    assert lines["source is gone"]["result"] == "failed"
    assert "WAL_ARCHIVE=own" in lines["source is gone"]["remedy"]
    assert "source's stanza" in lines["write"]["detail"]
    doctor.values["WAL_ARCHIVE_SILENCE"] = 0
    assert doctor.json(0)["source is gone"]["result"] == "ok"


def test_local_repository_of_somebody_else(local, story, space):
    """The servers' user reads it too, whoever calls doctor."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory that another cannot read")
    copy = space.path / "of-root"
    repofiles.copy(story.repo.path, copy)
    copy.chmod(0o700)
    os.chown(copy, 0, 0)
    local.values["REPO_PATH"] = copy
    line = local.json(1)["list"]
    assert line["result"] == "failed" and str(copy) in line["detail"]
    assert "owner and mode" in line["remedy"]


def test_local_repository(local, story):
    """A directory has no way to it; the rest is the same."""
    before = everything_below(story.repo.path)
    lines = local.json(0)
    assert everything_below(story.repo.path) == before
    for name in WAY[:-1]:
        assert lines[name]["result"] == "not_applicable", lines[name]
    for name in ["list", *DEEPER]:
        assert lines[name]["result"] in ("ok", "warning"), lines[name]
    local.values["REPO_PATH"] = story.repo.path / "nosuch"
    assert local.json(1)["list"]["result"] == "failed"


def test_lost_wal(local, story, space):
    """The backup's own last segment is gone: recovery could never become consistent."""
    copy = space.path / "lossy"
    repofiles.copy(story.repo.path, copy)
    needed = local.json(0)["WAL of the backup"]["detail"].split()[0]
    (victim,) = (copy / "archive").rglob(f"{needed}-*")
    victim.unlink()
    local.values["REPO_PATH"] = copy
    local.only("WAL of the backup", needed, "RESTORE_SET")


def test_stanza_without_a_backup(local, space):
    """As it is between stanza-create and the first backup; `start` says the same."""
    place = space.directory("fresh", owner=server_user())
    for part in ("repo", "data", "data/global", "lock", "log"):
        space.directory("fresh", *part.split("/"), owner=server_user(), mode=0o750)
    control = place / "data" / "global" / "pg_control"
    shutil.copy(ROOT / "tests" / "data" / "pg_control" / "15.bin", control)
    control.chmod(0o644)
    conf = write_conf(place / "fresh.conf", {
        "global": {"repo1-path": place / "repo", "lock-path": place / "lock", "log-path": place / "log"},
        "main": {"pg1-path": place / "data"}})
    run(["pgbackrest", f"--config={conf}", "--stanza=main", "--no-online", "stanza-create"],
        user=server_user())
    del local.values["REPO_CIPHER_PASS"]
    local.values["REPO_PATH"] = place / "repo"
    lines = local.only("newest backup", "no finished backup", "pgbackrest backup",
                       with_it=["chosen backup"], not_run=DEEPER[6:])
    assert lines["stanza"]["result"] == "ok"
    refused = local.cluster.start(check=False)
    assert refused.returncode == NOT_FOUND and "hint: " in refused.stderr, message(refused)
    assert not local.cluster.root.exists()


def test_archive_without_wal(local, story, space):
    """The whole archive is gone, all but its archive.info."""
    copy = repofiles.copy(story.repo.path, space.path / "without-wal")
    for directory in (copy / "archive" / "main").iterdir():
        if directory.is_dir():
            shutil.rmtree(directory)
    local.values["REPO_PATH"] = copy
    local.only("newest WAL", "no WAL of this cluster", "RESTORE_SET",
               with_it=["WAL of the backup"], not_run=["target in reach"])


def test_archiver_that_knows_no_such_version(local, unpack_fixture):
    """Debian's pgBackRest cannot archive for PostgreSQL 18; nor is that what POSTGRES_BIN has."""
    left = unpack_fixture("pg18-gz-bundle-block-aes")
    local.values.update(REPO_PATH=left.repo, REPO_CIPHER_PASS=left.cipher_pass,
                        POSTGRES_BIN=binaries())
    lines = local.json(1)
    failed = [line["name"] for line in lines.values() if line["result"] == "failed"]
    assert failed == ["PostgreSQL", "own WAL archive"], json.dumps(lines, indent=1)
    for word in ("2.45", "18", "WAL_ARCHIVE=off", "or newer"):
        assert word in lines["own WAL archive"]["detail"] + lines["own WAL archive"]["remedy"], lines
    local.values["WAL_ARCHIVE"] = "off"
    assert local.json(1)["own WAL archive"]["result"] == "not_applicable"


def test_with_a_pgbackrest_conf(local, story):
    """Remedies speak of pgBackRest's options to those who use its file."""
    conf = local.cluster.home.parent / "doctor.conf"
    text = story.repo.conf.read_text()
    for name in ("REPO_TYPE", "REPO_PATH", "REPO_CIPHER_PASS"):
        del local.values[name]
    local.cluster.options = ["--config", conf, "--stanza", "main"]

    def write(text):
        conf.write_text(text)
        conf.chmod(0o600)

    write(text)
    assert story.label in local.json(0)["chosen backup"]["detail"]
    write(text.replace(str(story.repo.path), "/nosuch"))
    assert "repo1-path" in local.json(1)["list"]["remedy"]
    write(text.replace(CIPHER_PASS, "another"))
    local.only("cipher", "passphrase", "repo1-cipher-pass")


# This host.

def test_taken_port(local):
    with socket.socket() as other:
        other.bind(("127.0.0.1", local.cluster.replica_port))
        other.listen()
        local.only(f"port {local.cluster.replica_port}", "POSTGRES_REPLICA_PORT",
                   local.cluster.replica_port)


@contextlib.contextmanager
def users_without(name, space):
    """A command's beginning, in whose sight the host has no such user."""
    if os.geteuid() != 0:
        pytest.skip("only root can show a process other users")
    users = space.path / "passwd"
    users.write_text("".join(line for line in open("/etc/passwd", encoding="utf-8")
                             if not line.startswith(f"{name}:")))
    yield ["unshare", "--mount", "sh", "-c", f'mount --bind {users} /etc/passwd && exec "$@"', "sh"]


def test_no_user_for_the_servers(local, space):
    """Root's servers run as postgres, and there is none."""
    local.cluster.write_env()
    with users_without("postgres", space) as beginning:
        result = run([*beginning, local.cluster.pgrevive.path, "--env-file", local.cluster.env_file,
                      "doctor", "--json"], env=local.cluster.environment, check=False, timeout=60)
    assert result.returncode == 1, message(result)
    lines = {line["name"]: line for line in json.loads(result.stdout)["checks"]}
    assert [name for name in lines if lines[name]["result"] == "failed"] == ["servers' user"], lines
    assert "no user postgres" in lines["servers' user"]["detail"]
    assert "apt-get install postgresql" in lines["servers' user"]["remedy"]
    assert lines["state directory"]["result"] == "not_run"


def test_too_small_a_disk(local, space):
    """`start` is told the same, before there is anything."""
    mount = space.directory("small")
    mounted = run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mount], check=False)
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED: a small disk, because none can be mounted: {mounted.stderr}")
    try:
        local.cluster.home = mount
        lines = local.only("disk space", mount, "2 nodes", "PGREVIVE_HOME")
        refused = local.cluster.start(check=False)
        assert refused.returncode == SYSTEM, message(refused)
        assert lines["disk space"]["remedy"] in refused.stderr, message(refused)
        assert list(mount.iterdir()) == []
    finally:
        run(["umount", mount])


def test_too_small_a_disk_of_a_replica(pgrevive, space, story):
    """It is the place of the replica that is named, and not the directory that has room for all else."""
    cluster = Cluster(pgrevive, space.directory("d5"), {**story.values(), "WAL_ARCHIVE": "off"},
                      name="narrow")
    replica = cluster.root / "replica"
    try:
        cluster.start_and_kill()
        wait_until(lambda: not cluster.status()["supervisor_running"], 20, "it has ended")
        for node in ("primary", "replica"):
            shutil.rmtree(cluster.root / node)
        replica.mkdir()
        mounted = run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", replica], check=False)
        if mounted.returncode != 0:
            pytest.skip(f"NOT TESTED: a small disk, because none can be mounted: {mounted.stderr}")
        try:
            give(replica, server_user())
            checks = json.loads(cluster.run("doctor", "--json", check=False).stdout)["checks"]
            spaces = {line["result"]: line["detail"] for line in checks if line["name"] == "disk space"}
            assert [line["name"] for line in checks if line["result"] == "failed"] == ["disk space"]
            assert spaces["failed"].startswith(f"{replica}/data has 16"), spaces
            assert "of 1 node do not fit" in spaces["failed"], spaces
            assert re.fullmatch(f"{cluster.root}: .* of 1 node to come", spaces["ok"]), spaces
            refused = cluster.start(check=False)
            assert refused.returncode == SYSTEM, message(refused)
            assert spaces["failed"] in refused.stderr, message(refused)
            assert list(replica.iterdir()) == [] and not (cluster.root / "primary").exists()
        finally:
            run(["umount", replica])
    finally:
        cluster.gone()


def test_too_much_shared_memory(local, space):
    """`start` is told the same, before there is anything."""
    local.values["SHARED_BUFFERS"] = "4TB"
    local.cluster.home = space.directory("memory")
    lines = local.only("memory", "SHARED_BUFFERS", "2 x 4.4 TB")
    refused = local.cluster.start(check=False)
    assert refused.returncode == SYSTEM, message(refused)
    assert lines["memory"]["detail"] in refused.stderr, message(refused)
    assert lines["memory"]["remedy"] in refused.stderr, message(refused)
    assert list(local.cluster.home.iterdir()) == []


def test_directory_of_something_else(local, space):
    root = space.directory("d2") / "patient"
    root.mkdir()
    (root / "precious").write_text("x")
    local.cluster.home = root.parent
    local.only("state directory", root, "CLUSTER_NAME")
    assert (root / "precious").read_text() == "x"


def test_no_such_binaries(local):
    local.values["POSTGRES_BIN"] = "/nosuch/bin"
    local.only("PostgreSQL", "/nosuch/bin")


def test_programs_are_asked_as_who_runs_the_servers(local, space):
    """Which may be that user's choice, in the settings that the cluster keeps."""
    programs = space.directory("asked")
    asked_by = programs / "asked-by"
    asked_by.touch()
    asked_by.chmod(0o666)
    for name in ("initdb", "pg_ctl"):
        (programs / name).symlink_to(binaries() / name)
    (programs / "postgres").write_text(f'#!/bin/sh\nid -ru >>{asked_by}\nexec {binaries()}/postgres "$@"\n')
    (programs / "postgres").chmod(0o755)
    local.values["POSTGRES_BIN"] = programs
    assert local.json(0)["PostgreSQL"]["detail"] == f"15 in {programs}"
    owner = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else os.geteuid()
    assert {*asked_by.read_text().split()} == {str(owner)}


def test_of_a_cluster_that_runs(pgrevive, space, story):
    """Its own servers are not in its way, and it does not notice being looked at."""
    cluster = Cluster(pgrevive, space.directory("d3"), {**story.values(), "WAL_ARCHIVE": "off"},
                      name="lively")
    try:
        cluster.start()
        pids = set(cluster.processes())
        lines = Doctor(cluster).json(0)
        for port, user in ((cluster.primary_port, "primary"), (cluster.replica_port, "replica"),
                           (cluster.adminer_port, "Adminer")):
            assert lines[f"port {port}"]["detail"] == f"used by this cluster's {user}"
        assert lines["disk space"]["result"] == "not_applicable"
        assert set(cluster.processes()) == pids
        cluster.run("test")
    finally:
        cluster.gone()


def test_target_that_an_interrupted_start_was_told(pgrevive, space, story):
    """What `start` would go on to is what is judged; other words count before it."""
    cluster = Cluster(pgrevive, space.directory("d4"), {**story.values(), "WAL_ARCHIVE": "off"},
                      name="halted")
    told = "the target is still what start was told"
    try:
        lsn = story.targets["lsn"].value
        cluster.start_and_kill("--type", "lsn", "--target", lsn)
        text = cluster.run("doctor", check=False).stdout
        assert told in text and lsn in text, text
        assert told not in cluster.run("doctor", "--json", check=False).stdout
        assert told not in cluster.run("doctor", "--type", "immediate", check=False).stdout
    finally:
        cluster.gone()
