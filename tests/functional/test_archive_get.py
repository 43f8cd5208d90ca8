"""`pgrevive archive-get`, as PostgreSQL's restore_command.

PostgreSQL takes exit codes 1 to 125 as "there is no such file" and may then open the cluster with
data missing. So 0 is delivered, 1 is proven absent, and everything else is above 125.
"""

import shutil

import pytest

from rig import repofiles, soundness, tree
from rig.backrest import BackrestRepo, write_conf
from rig.matrix import FORMS, FURTHER, copied_repository
from rig.postgres import Server, SourceCluster, server_user, trusting_hba
from rig.process import free_port, run, wait_until
from rig.program import message
from rig.workspace import give

BY_NAME = {form.name: form for form in FORMS}
FORM = BY_NAME["zst-aes-bundle"]


@pytest.fixture
def cluster(workspace, matrix):
    """An empty directory to be in, which has the pg_control that PGDATA has."""
    data = workspace.directory("pgdata", owner=server_user())
    (data / "global").mkdir()
    shutil.copy(matrix.source.data / "global" / "pg_control", data / "global")
    shutil.copy(matrix.source.data / "PG_VERSION", data)
    (data / "pg_wal").mkdir()
    run(["chmod", "-R", "a+rX", data])
    return data


def get(pgrevive, conf, name, cluster, *arguments, destination="pg_wal/RECOVERYXLOG", timeout=180):
    return pgrevive("archive-get", "--config", conf, "--stanza", "main", *arguments, name,
                    destination, cwd=cluster, check=False, timeout=timeout)


def delivered(cluster):
    path = cluster / "pg_wal" / "RECOVERYXLOG"
    return path.read_bytes() if path.exists() else None


def assert_refused(result, cluster, *words):
    """Above 125, the reason said, and nothing at the destination that replay could take."""
    assert result.returncode > 125, message(result)
    for word in words:
        assert str(word) in result.stderr, result.stderr
    assert delivered(cluster) is None


@pytest.fixture
def damaged(workspace, matrix):
    """A repository like the matrix' but for one's own, and its configuration."""
    return copied_repository(matrix, FORM, workspace.path)


@pytest.mark.thorough(form=FURTHER)
@pytest.mark.parametrize("form", BY_NAME)
def test_delivers_what_pgbackrest_delivers(pgrevive, matrix, cluster, form):
    """First, middle and last segment and the .backup files of every form of repository."""
    repo = matrix.repository(BY_NAME[form])
    names = repofiles.segments(repo.path)
    names = {names[0], names[len(names) // 2], names[-1]}
    names |= {name for name in repofiles.archive(repo.path) if name.endswith(".backup")}
    assert len(names) >= 5
    for name in sorted(names):
        expected = cluster / "expected"
        run(["pgbackrest", f"--config={repo.conf}", "--stanza=main", f"--pg1-path={cluster}",
             "--log-level-console=warn", "archive-get", name, expected], cwd=cluster)
        result = get(pgrevive, repo.conf, name, cluster)
        assert result.returncode == 0, message(result)
        assert delivered(cluster) == expected.read_bytes(), name
        (cluster / "pg_wal" / "RECOVERYXLOG").unlink()
        expected.unlink()


def test_delivers_from_s3(pgrevive, matrix, cluster, bucket):
    """The same through Ceph RGW."""
    repo = matrix.repository(FORM)
    prefix = bucket.upload_once(repo.path, f"matrix/{FORM.name}")
    conf = repo.write_conf("s3-archive.conf",
                           repo.s3_options(bucket.gateway, bucket.name, prefix))
    name = repofiles.segments(repo.path)[1]
    assert get(pgrevive, repo.conf, name, cluster).returncode == 0
    expected = delivered(cluster)
    assert len(expected) == 1 << 20
    (cluster / "pg_wal" / "RECOVERYXLOG").unlink()

    result = get(pgrevive, conf, name, cluster)
    assert result.returncode == 0, message(result)
    assert delivered(cluster) == expected
    (cluster / "pg_wal" / "RECOVERYXLOG").unlink()
    absent = get(pgrevive, conf, "0000000100000000000000FE", cluster)
    assert absent.returncode == 1, message(absent)


@pytest.mark.parametrize("name", ["0000000100000000000000FE", "000000020000000000000001",
                                  "00000007.history", "0000000100000000000000FE.00000028.backup"])
def test_absent(pgrevive, matrix, cluster, name):
    """Proven absent, with nothing later: 1, as PostgreSQL wants it at the end of the archive."""
    result = get(pgrevive, matrix.repository(FORM).conf, name, cluster)
    assert result.returncode == 1, message(result)
    assert delivered(cluster) is None


def test_gap(pgrevive, cluster, damaged):
    """A segment is missing while later ones are there: not the end of the archive."""
    path, conf = damaged
    names = repofiles.segments(path)
    lost = names[len(names) // 2]
    repofiles.archive(path)[lost].unlink()
    assert_refused(get(pgrevive, conf, lost, cluster), cluster, lost)


DAMAGES = {
    "flipped byte": repofiles.flip,
    "cut short": repofiles.truncate,
    "empty": lambda path: repofiles.truncate(path, 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_segment(pgrevive, cluster, damaged, damage):
    """Bytes that are not what was archived never reach PostgreSQL."""
    path, conf = damaged
    name = repofiles.segments(path)[2]
    DAMAGES[damage](repofiles.archive(path)[name])
    assert_refused(get(pgrevive, conf, name, cluster), cluster, name)


def test_flipped_byte_without_compression(pgrevive, matrix, cluster, workspace):
    """Nothing but the SHA-1 in the name can notice this one."""
    path, conf = copied_repository(matrix, BY_NAME["none-plain-files"], workspace.path)
    name = repofiles.segments(path)[2]
    repofiles.flip(repofiles.archive(path)[name])
    assert_refused(get(pgrevive, conf, name, cluster), cluster, name, "checksum")


def test_segment_under_another_name(pgrevive, cluster, damaged):
    """A whole and readable segment, but another one: its SHA-1 is not the one in the name."""
    path, conf = damaged
    files = repofiles.archive(path)
    names = repofiles.segments(path)
    repofiles.exchange(files[names[1]], files[names[2]])
    assert_refused(get(pgrevive, conf, names[1], cluster), cluster, names[1])


def test_two_contents_for_one_segment(pgrevive, cluster, damaged):
    """Two files with different checksums: nobody knows which one is right."""
    path, conf = damaged
    name = repofiles.segments(path)[2]
    file = repofiles.archive(path)[name]
    # Behind the good one, or the first that is looked at would be found wrong.
    shutil.copy(file, file.with_name(f"{name}-{'f' * 40}{file.suffix}"))
    assert_refused(get(pgrevive, conf, name, cluster), cluster, name)


def change(conf, **options):
    """The configuration with options of [global] changed; None takes one out."""
    lines = conf.read_text().splitlines()
    for key, value in options.items():
        key = key.replace("_", "-")
        lines = [line for line in lines if not line.startswith(f"{key}=")]
        if value is not None:
            lines.insert(1, f"{key}={value}")
    conf.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("trouble", ["wrong passphrase", "no passphrase", "no repository",
                                     "no archive.info", "another system", "unknown stanza"])
def test_unusable_repository(pgrevive, cluster, damaged, workspace, trouble):
    """Asked for a segment that does not exist: 1 would be a lie when nobody could look."""
    path, conf = damaged
    absent = "0000000100000000000000FE"
    arguments = []
    if trouble == "wrong passphrase":
        change(conf, repo1_cipher_pass="another")
    elif trouble == "no passphrase":
        change(conf, repo1_cipher_pass=None, repo1_cipher_type=None)
    elif trouble == "no repository":
        change(conf, repo1_path=path.parent / "nosuch")
    elif trouble == "no archive.info":
        for name in ("archive.info", "archive.info.copy"):
            (path / "archive" / "main" / name).unlink()
    elif trouble == "another system":
        other = SourceCluster(workspace.directory("other", owner=server_user())).create()
        shutil.copy(other.data / "global" / "pg_control", cluster / "global")
    else:
        arguments = ["--stanza", "nosuch"]
    for name in (absent, repofiles.segments(path)[0]):
        result = pgrevive("archive-get", "--config", conf, *(arguments or ["--stanza", "main"]),
                          name, "pg_wal/RECOVERYXLOG", cwd=cluster, check=False)
        assert_refused(result, cluster)
        assert result.stderr.strip(), "no reason given"
        assert trouble != "another system" or "system identifier" in result.stderr, message(result)


@pytest.mark.parametrize("arguments", [
    [], ["--nosuch"], ["one"], ["one", "two", "three"],
    ["--config", "/nosuch/pgbackrest.conf", "000000010000000000000001", "x"],
    ["--stanza", "main", "--repo-path", "/nosuch", "not-a-wal-name", "x"]])
def test_wrong_words(pgrevive, cluster, arguments):
    """A slip in restore_command must not look like the end of the archive either."""
    result = pgrevive("archive-get", *arguments, cwd=cluster, check=False)
    assert_refused(result, cluster)


@pytest.mark.parametrize("trouble", ["nobody listens", "wrong secret", "wrong bucket", "wrong CA"])
def test_unusable_bucket(pgrevive, matrix, cluster, bucket, workspace, trouble):
    """S3 that cannot be reached or refuses."""
    repo = matrix.repository(FORM)
    prefix = bucket.upload_once(repo.path, f"matrix/{FORM.name}")
    options = repo.s3_options(bucket.gateway, bucket.name, prefix)
    options.update({
        "nobody listens": {"repo1-storage-port": free_port()},
        "wrong secret": {"repo1-s3-key-secret": "wrong"},
        "wrong bucket": {"repo1-s3-bucket": "nosuch"},
        "wrong CA": {"repo1-storage-ca-file": "/etc/ssl/certs/ca-certificates.crt"},
    }[trouble])
    conf = repo.write_conf("broken.conf", {"io-timeout": 5, **options})
    result = get(pgrevive, conf, "0000000100000000000000FE", cluster)
    assert_refused(result, cluster, options["repo1-s3-bucket"])


def test_second_repository_helps(pgrevive, matrix, cluster, workspace):
    """Repositories are tried in order; one in trouble matters only if no other delivers."""
    repo = matrix.repository(FORM)
    conf = write_conf(workspace.path / "two.conf", {
        "global": {"repo1-path": workspace.path / "nosuch", "repo2-path": repo.path,
                   **{key.replace("repo1", "repo2"): v for key, v in repo.secrets().items()}},
        "main": {"pg1-path": cluster}})
    name = repofiles.segments(repo.path)[1]
    result = get(pgrevive, conf, name, cluster)
    assert result.returncode == 0, message(result)
    (cluster / "pg_wal" / "RECOVERYXLOG").unlink()

    # Absent in the one, unknown in the other.
    assert_refused(get(pgrevive, conf, "0000000100000000000000FE", cluster), cluster)

    # Not archived any more in the one, whichever of them was made first.
    older, newer = sorted((repo, matrix.repository(BY_NAME["lz4-plain-bundle"])),
                          key=lambda one: repofiles.segments(one.path)[-1])
    conf = write_conf(workspace.path / "two.conf", {
        "global": {"repo1-path": older.path, "repo2-path": newer.path, **older.secrets(),
                   **{key.replace("repo1", "repo2"): v for key, v in newer.secrets().items()}},
        "main": {"pg1-path": cluster}})
    result = get(pgrevive, conf, repofiles.segments(newer.path)[-1], cluster)
    assert result.returncode == 0, message(result)


def test_history_files(pgrevive, workspace):
    """A source that was promoted: history file and partial segment as pgBackRest gives them."""
    space = workspace.directory("s", owner=server_user())
    source = SourceCluster(space / "source").create().start().prepare_load("postgres", 500)
    repo = BackrestRepo(space / "repository", source, compress="lz4", cipher_pass="x",
                        options={"repo1-bundle": "y"}).create_stanza()
    try:
        source.work()
        source.switch_wal()
        source.stop()
        (source.data / "standby.signal").touch()
        give(source.data / "standby.signal", server_user())
        source.start(restore_command="false")
        run([source.bin / "pg_ctl", "promote", "-D", source.data, "-w"], user=source.user)
        wait_until(lambda: "00000002.history" in repofiles.archive(repo.path), 30, "history archived")
        source.work()
        source.switch_wal()
    finally:
        source.stop()
    names = repofiles.archive(repo.path)
    assert any(name.endswith(".partial") for name in names), names
    data = workspace.directory("pgdata", owner=server_user())
    run(["cp", "-a", source.data / "global", data])
    (data / "pg_wal").mkdir()
    for name in names:
        expected = data / "expected"
        run(["pgbackrest", f"--config={repo.conf}", "--stanza=main", f"--pg1-path={data}",
             "--log-level-console=warn", "archive-get", name, expected], cwd=data)
        result = get(pgrevive, repo.conf, name, data)
        assert result.returncode == 0, message(result)
        assert delivered(data) == expected.read_bytes(), name
        expected.unlink()
        (data / "pg_wal" / "RECOVERYXLOG").unlink()


def test_postgresql_stops_where_it_must(pgrevive, workspace, matrix):
    """A damaged segment beyond the backup stops recovery; mended, recovery reaches the end."""
    repo = matrix.repository(FORM)
    path = repofiles.copy(repo.path, workspace.path / "repo")
    conf = write_conf(workspace.path / "pgbackrest.conf", {
        "global": {"repo1-path": path, **repo.secrets()},
        "main": {"pg1-path": workspace.path / "data"}})
    stop = [backup for backup in repo.info()[0]["backup"] if backup["label"] == repo.labels[0]][0]
    after = [name for name in repofiles.segments(path) if name > stop["archive"]["stop"]]
    file = repofiles.archive(path)[after[len(after) // 2]]
    repofiles.flip(file)

    pgrevive.restore(conf, {"primary": workspace.path / "data"}, "--set", repo.labels[0],
                     "--type", "default", tablespaces=workspace.path / "ts", user=server_user())
    hba = trusting_hba(workspace.path)
    server = Server(workspace.path / "data", sockets=workspace.path,
                    log=workspace.path / "server.log")
    settings = {"archive_mode": "off", "hba_file": hba, "hot_standby": "on", "fsync": "off"}
    try:
        server.launch(**settings)
        wait_until(lambda: not server.daemon.running(), 60, "PostgreSQL gives up")
        state = run([server.bin / "pg_controldata", server.data]).stdout
        assert "in archive recovery" in state
        assert "checkpoint's TimeLineID:       1" in state

        repofiles.flip(file)
        server.start(**settings)
        wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", 60, "end of recovery")
        assert f"{FORM.name}-incr" in server.sql(SourceCluster.MARKERS, "testdb").split(",")
        assert server.sql("select count(*) from scratch", "testdb") == "0"
        soundness.prove_server(server, "testdb")
    finally:
        server.stop()
    assert tree.plain(server.data)["PG_VERSION"].size == 3
