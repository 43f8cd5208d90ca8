"""What people get wrong and what breaks: each ends with its own exit code, a message that names the
thing, a hint where one helps, and no directory that could be started by mistake."""

import os
import shutil
import signal
import time

import pytest

from rig import repofiles, tree
from rig.backrest import write_conf
from rig.matrix import FORMS
from rig.postgres import Server, server_user, trusting_hba
from rig.process import free_port, run, wait_until
from rig.program import message
from rig.rgw import Authority
from rig.workspace import give

FORM = FORMS[4]      # zst, aes, bundle
FILES = FORMS[5]     # zst, plain, no bundle

# docs/errors.md
USAGE, UNAVAILABLE, NOT_FOUND, CORRUPT, UNSUPPORTED = 21, 22, 23, 24, 25
NOT_EMPTY, DENIED, SYSTEM, BUSY = 26, 28, 29, 30


class Case:
    """A repository of one's own to break, and a restore of two nodes from it."""

    def __init__(self, pgrevive, workspace, repo):
        self.pgrevive = pgrevive
        self.space = workspace.path
        self.repo = repo
        self.path = self.space / "repo"
        self.options = {"repo1-path": self.path, **repo.secrets()}
        self.nodes = {name: self.space / name for name in ("primary", "replica")}
        self.arguments = []
        self.stanza = "main"

    def own(self):
        repofiles.copy(self.repo.path, self.path)
        return self

    @property
    def backup(self):
        return self.path / "backup" / "main"

    def conf(self):
        return write_conf(self.space / "pgbackrest.conf", {
            "global": self.options, "main": {"pg1-path": "/nosuch"}})

    def run(self, **options):
        return self.pgrevive.restore(self.conf(), self.nodes, *self.arguments, check=False,
                                     stanza=self.stanza, tablespaces=self.space / "ts",
                                     timeout=180, **options)

    def refused(self, code, *words, hint=True, **options):
        result = self.run(**options)
        text = message(result)
        assert result.returncode == code, text
        assert "error: " in result.stderr, text
        for word in words:
            assert str(word) in result.stderr, f"no {word!r} in:\n{text}"
        if hint:
            assert "hint: " in result.stderr, text
        for secret in ("pass =#1' for tests", "tEstSecret"):
            assert secret not in text
        self.nothing_that_starts()
        return result

    def nothing_that_starts(self):
        for data in self.nodes.values():
            assert not (data / "global" / "pg_control").exists(), data


@pytest.fixture
def case(pgrevive, workspace, matrix):
    return Case(pgrevive, workspace, matrix.repository(FORM)).own()


@pytest.fixture
def files_case(pgrevive, workspace, matrix):
    return Case(pgrevive, workspace, matrix.repository(FILES)).own()


@pytest.fixture
def s3_case(pgrevive, workspace, matrix, bucket):
    """The bucket's copy, which is not to be broken."""
    repo = matrix.repository(FORM)
    case = Case(pgrevive, workspace, repo)
    prefix = bucket.upload_once(repo.path, f"matrix/{FORM.name}")
    case.options = {"io-timeout": 5, **repo.s3_options(bucket.gateway, bucket.name, prefix)}
    return case


# The bucket and the way to it.

def test_wrong_key(s3_case):
    s3_case.options["repo1-s3-key"] = "NOSUCHKEY"
    s3_case.refused(DENIED, "backups", "InvalidAccessKeyId", 403)


def test_wrong_secret(s3_case):
    s3_case.options["repo1-s3-key-secret"] = "not-the-secret"
    result = s3_case.refused(DENIED, "backups", "SignatureDoesNotMatch", 403)
    assert "not-the-secret" not in message(result)


def test_wrong_bucket(s3_case):
    s3_case.options["repo1-s3-bucket"] = "no-such-bucket"
    s3_case.refused(USAGE, "no-such-bucket", "NoSuchBucket")


def test_bucket_of_somebody_else(s3_case, gateway):
    gateway.add_user("stranger", "STRANGERSKEY00000001", "strangers-secret")
    s3_case.options["repo1-s3-key"] = "STRANGERSKEY00000001"
    s3_case.options["repo1-s3-key-secret"] = "strangers-secret"
    s3_case.refused(DENIED, "backups", "AccessDenied")


def test_wrong_path(s3_case):
    s3_case.options["repo1-path"] = "/matrix/elsewhere"
    s3_case.refused(NOT_FOUND, "matrix/elsewhere")


def test_wrong_ca(s3_case, workspace):
    other = Authority.make(workspace.directory("ca"), name="somebody else")
    s3_case.options["repo1-storage-ca-file"] = other.certificate
    s3_case.refused(UNAVAILABLE, "certificate")


def test_ca_file_that_is_not_there(s3_case, workspace):
    s3_case.options["repo1-storage-ca-file"] = workspace.path / "nosuch.crt"
    s3_case.refused(USAGE, "nosuch.crt")


def test_certificate_for_another_name(s3_case):
    """The service is the right one, but the certificate does not say so."""
    s3_case.options["repo1-s3-endpoint"] = "other.localhost"
    s3_case.refused(UNAVAILABLE, "certificate")


def test_tls_not_verified_when_told_so(s3_case):
    del s3_case.options["repo1-storage-ca-file"]
    s3_case.refused(UNAVAILABLE, "certificate")
    s3_case.options["repo1-storage-verify-tls"] = "n"
    result = s3_case.run()
    assert result.returncode == 0, message(result)


def test_nobody_listens(s3_case):
    port = free_port()
    s3_case.options["repo1-storage-port"] = port
    s3_case.refused(UNAVAILABLE, "localhost", port)


def test_name_that_does_not_resolve(s3_case):
    s3_case.options["repo1-s3-endpoint"] = "nosuch.invalid"
    s3_case.refused(UNAVAILABLE, "nosuch.invalid")


def test_http_spoken_to_tls(s3_case, gateway):
    s3_case.options["repo1-s3-endpoint"] = f"http://127.0.0.1:{gateway.port}"
    del s3_case.options["repo1-storage-port"]
    s3_case.refused(UNAVAILABLE, "http://", gateway.port)


# The repository.

def test_wrong_passphrase(case):
    case.options["repo1-cipher-pass"] = "another"
    case.refused(USAGE, "passphrase", case.path)


def test_no_passphrase(case):
    del case.options["repo1-cipher-pass"], case.options["repo1-cipher-type"]
    case.refused(USAGE, "encrypted")


def test_passphrase_for_a_plain_repository(files_case):
    files_case.options.update({"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "x"})
    files_case.refused(USAGE, "not encrypted")


def test_unknown_stanza(case):
    case.stanza = "nosuch"
    result = case.refused(NOT_FOUND, "nosuch")
    assert "main" in result.stderr, "which stanzas there are is not said"


def test_unknown_label(case):
    case.arguments = ["--set", "20200101-000000F"]
    result = case.refused(NOT_FOUND, "20200101-000000F")
    assert case.repo.labels[-1] in result.stderr


def test_label_that_is_none(case):
    case.arguments = ["--set", "yesterday"]
    case.refused(NOT_FOUND, "yesterday")


def test_empty_directory_as_repository(case):
    shutil.rmtree(case.path)
    case.path.mkdir()
    case.refused(NOT_FOUND, case.path)


def test_no_directory_as_repository(case):
    shutil.rmtree(case.path)
    case.refused(NOT_FOUND, case.path)


def test_unfinished_backup(case):
    """A directory with backup.manifest.copy alone, of which backup.info knows nothing: the backup
    was interrupted. It is not taken when asked for, and not taken for the newest either."""
    label, unfinished = case.repo.labels[0], "20991231-235959F"
    shutil.copytree(case.backup / label, case.backup / unfinished)
    (case.backup / unfinished / "backup.manifest").unlink()
    case.arguments = ["--set", unfinished]
    case.refused(NOT_FOUND, unfinished, "not finished")
    case.arguments = []
    result = case.run()
    assert result.returncode == 0 and case.repo.labels[-1] in result.stdout, message(result)


def info_checksum_free(text):
    """The text of an info file without its last section, which holds the checksum."""
    return text[:text.rindex("[backrest]")]


def with_checksum(text):
    """An info file with the right checksum: SHA-1 over its JSON form, values as they stand."""
    import hashlib
    import json
    body, sections, section = info_checksum_free(text), {}, None
    for line in body.splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], [])
        elif line:
            key, value = line.split("=", 1)
            section.append((key, value))
    joined = ",".join(
        f'"{name}":{{' + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{v}" for k, v in entries) + "}"
        for name, entries in sections.items())
    digest = hashlib.sha1(("{" + joined + "}").encode()).hexdigest()
    return f'{body}[backrest]\nbackrest-checksum="{digest}"\n'


@pytest.mark.parametrize("number", [4, 6, 7])
def test_other_repository_format(files_case, number):
    """A plain repository of a format that we do not read, with its checksums right."""
    for path in (files_case.backup / "backup.info", files_case.path / "archive/main/archive.info"):
        text = path.read_text()
        assert with_checksum(text) == text, "the test's own checksum is not pgBackRest's"
        text = with_checksum(text.replace("backrest-format=5\n", f"backrest-format={number}\n"))
        for name in (path, path.with_name(path.name + ".copy")):
            name.write_text(text)
    files_case.refused(UNSUPPORTED, f"format {number}")


def test_encrypted_format_6(case):
    """Encrypted info files of format 6 begin with eight plain bytes of their own."""
    for info in (case.backup / "backup.info", case.path / "archive/main/archive.info"):
        for path in (info, info.with_name(info.name + ".copy")):
            content = path.read_bytes()
            assert content.startswith(b"Salted__")
            path.write_bytes(b"PGBR006_" + content[8:])
    case.refused(UNSUPPORTED, "format 6")


def test_info_copy_is_used(case):
    """A damaged backup.info and manifest are read from their copies."""
    label = case.repo.labels[0]
    repofiles.flip(case.backup / "backup.info")
    repofiles.truncate(case.backup / label / "backup.manifest")
    case.arguments = ["--set", label]
    result = case.run()
    assert result.returncode == 0, message(result)


def test_both_info_files_damaged(files_case):
    for name in ("backup.info", "backup.info.copy"):
        text = (files_case.backup / name).read_text()
        (files_case.backup / name).write_text(text.replace('"backup-type":"full"',
                                                           '"backup-type":"FULL"'))
    files_case.refused(CORRUPT, "backup.info", hint=False)


def biggest_object(directory, pattern):
    return max((path for path in directory.rglob(pattern) if path.is_file()),
               key=lambda path: path.stat().st_size)


def test_flipped_bits_in_a_file(files_case):
    """The message names the file that is wrong, and its object."""
    label = files_case.repo.labels[0]
    victim = biggest_object(files_case.backup / label / "pg_data" / "base", "*.zst")
    repofiles.flip(victim)
    files_case.arguments = ["--set", label]
    name = str(victim.relative_to(files_case.backup / label / "pg_data")).removesuffix(".zst")
    files_case.refused(CORRUPT, name, hint=False)


def test_flipped_bits_in_a_bundle(case):
    label = case.repo.labels[0]
    bundle = biggest_object(case.backup / label / "bundle", "*")
    repofiles.flip(bundle)
    case.arguments = ["--set", label]
    case.refused(CORRUPT, f"bundle/{bundle.name}", hint=False)


def test_flipped_bits_without_compression(pgrevive, workspace, matrix):
    """Nothing but the SHA-1 can notice this one."""
    case = Case(pgrevive, workspace, matrix.repository(FORMS[9])).own()
    label = case.repo.labels[0]
    victim = biggest_object(case.backup / label / "pg_data" / "base", "*")
    repofiles.flip(victim)
    case.arguments = ["--set", label]
    case.refused(CORRUPT, victim.relative_to(case.backup / label / "pg_data"), hint=False)


@pytest.mark.parametrize("keep", [0.5, 0])
def test_truncated_object(files_case, keep):
    label = files_case.repo.labels[0]
    victim = biggest_object(files_case.backup / label / "pg_data" / "base", "*.zst")
    repofiles.truncate(victim, keep)
    files_case.arguments = ["--set", label]
    files_case.refused(CORRUPT, victim.name.removesuffix(".zst"), hint=False)


def test_truncated_bundle(case):
    label = case.repo.labels[0]
    bundle = biggest_object(case.backup / label / "bundle", "*")
    repofiles.truncate(bundle)
    case.arguments = ["--set", label]
    case.refused(CORRUPT, f"bundle/{bundle.name}", hint=False)


def test_lost_object(files_case):
    label = files_case.repo.labels[0]
    victim = biggest_object(files_case.backup / label / "pg_data" / "base", "*.zst")
    victim.unlink()
    files_case.arguments = ["--set", label]
    files_case.refused(NOT_FOUND, victim.name.removesuffix(".zst"), hint=False)


def test_mended_repository_continues(files_case):
    """After a restore that failed for a damaged object, the same command finishes the work."""
    label = files_case.repo.labels[0]
    victim = biggest_object(files_case.backup / label / "pg_data" / "base", "*.zst")
    repofiles.flip(victim)
    files_case.arguments = ["--set", label]
    files_case.refused(CORRUPT, hint=False)
    repofiles.flip(victim)
    result = files_case.run()
    assert result.returncode == 0, message(result)
    expected = files_case.repo.restore(label, files_case.space / "o", files_case.space / "ots")
    tree.assert_equal(tree.data_directory(expected),
                      tree.data_directory(files_case.nodes["replica"]), "continued")


# The place to restore to.

@pytest.mark.parametrize("node", ["primary", "replica"])
def test_directory_that_is_not_empty(case, node):
    case.nodes[node].mkdir()
    (case.nodes[node] / "thesis.odt").write_text("years of work")
    case.refused(NOT_EMPTY, case.nodes[node])
    assert (case.nodes[node] / "thesis.odt").read_text() == "years of work"
    other = ({"primary", "replica"} - {node}).pop()
    assert not case.nodes[other].exists() or not any(case.nodes[other].iterdir())


def test_delta_into_a_directory_that_is_no_cluster(case):
    """--delta with a mistyped path must not empty somebody's home."""
    case.arguments = ["--delta"]
    case.nodes["primary"].mkdir()
    (case.nodes["primary"] / "thesis.odt").write_text("years of work")
    case.refused(NOT_EMPTY, case.nodes["primary"])
    assert (case.nodes["primary"] / "thesis.odt").read_text() == "years of work"


def test_tablespace_directory_that_is_not_empty(case):
    place = case.space / "ts" / "primary"
    place.mkdir(parents=True)
    result = case.run()
    assert result.returncode == 0, message(result)
    target = next((case.nodes["primary"] / "pg_tblspc").iterdir()).resolve()
    shutil.rmtree(case.nodes["primary"])
    shutil.rmtree(case.nodes["replica"])
    assert any(target.iterdir())
    case.refused(NOT_EMPTY, target)


def test_running_server(case):
    """Neither with --delta nor without is a directory touched that a server runs on."""
    result = case.run(user=None)
    assert result.returncode == 0, message(result)
    data = case.nodes["primary"]
    for name in ("recovery.signal", "standby.signal"):
        (data / name).unlink(missing_ok=True)
    give(case.space, server_user())
    hba = trusting_hba(case.space)
    (data / "standby.signal").touch()
    give(data / "standby.signal", server_user())
    server = Server(data, sockets=case.space, log=case.space / "server.log")
    try:
        server.launch(archive_mode="off", hba_file=hba, restore_command="false")
        wait_until(lambda: (data / "postmaster.pid").exists(), 20, "server is up")
        before = (data / "PG_VERSION").stat().st_ino
        for arguments in ([], ["--delta"]):
            case.arguments = arguments
            result = case.run()
            assert result.returncode in (BUSY, NOT_EMPTY), message(result)
            assert str(data) in result.stderr and "hint: " in result.stderr
            if arguments:
                assert result.returncode == BUSY, message(result)
        assert server.daemon.running()
        assert (data / "PG_VERSION").stat().st_ino == before
    finally:
        server.stop()


def test_two_nodes_in_one_directory(case):
    case.nodes["replica"] = case.nodes["primary"]
    case.refused(USAGE, "--node primary", "--node replica", hint=False)
    case.nodes["replica"] = case.nodes["primary"] / "inside"
    case.refused(USAGE, case.nodes["replica"], "primary")


def test_relative_and_missing_words(pgrevive, case):
    """Nodes without a directory, with no name, none at all."""
    for words in (["--node", "primary"], ["--node", "=x"], [], ["--node", "primary="]):
        result = pgrevive("restore", "--config", case.conf(), "--stanza", "main", *words,
                          check=False)
        assert result.returncode == USAGE, message(result)
        assert "hint: " in result.stderr or "--node" in result.stderr


def test_directory_that_cannot_be_written(case):
    """As another user below a directory of root's."""
    if os.geteuid() != 0:
        pytest.skip("takes two users")
    place = case.space / "roots"
    place.mkdir()
    place.chmod(0o755)
    give(case.space / "pgbackrest.conf", None)
    case.nodes["primary"] = place / "primary"
    case.refused(DENIED, place, hint=False, user="postgres")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
@pytest.mark.root
@pytest.mark.parametrize("room", ["known beforehand", "taken meanwhile"])
def test_disk_full(case, room):
    """Too little space is seen before the first byte; space that vanishes is an error, not a hang."""
    mount = case.space / "small"
    mount.mkdir()
    size = "20m" if room == "known beforehand" else "150m"
    run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount])
    try:
        case.nodes = {name: mount / name for name in case.nodes}
        if room == "known beforehand":
            result = case.run()
            assert result.returncode == SYSTEM, message(result)
            assert "space" in result.stderr and "small" in result.stderr
            assert list(mount.iterdir()) == [] or not any(
                (data / "base").exists() for data in case.nodes.values())
        else:
            # Enough when looked at, taken by somebody else at once afterwards.
            log = case.space / "log"
            command = ["restore", "--config", case.conf(), "--stanza", "main", "--type", "none",
                       "--tablespace-map-all", case.space / "ts"]
            for name, data in case.nodes.items():
                command += ["--node", f"{name}={data}"]
            daemon = case.pgrevive.launch(*command, log=log)
            while daemon.running() and not (case.nodes["primary"] / "base").exists():
                time.sleep(0.002)
            try:
                with open(mount / "taken", "wb") as file:
                    while True:
                        file.write(b"\0" * (1 << 20))
                        file.flush()
            except OSError:
                pass
            code = daemon.process.wait(60)
            assert code == SYSTEM, daemon.tail()
            assert "No space left" in daemon.tail() and "hint: " in daemon.tail()
            case.nothing_that_starts()
            (mount / "taken").unlink()
            result = case.run()
            assert result.returncode == 0, message(result)
    finally:
        run(["umount", mount])


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_interrupted_restore_continues(case, how):
    """Stopped in the middle at several points; the same command then ends with an equal tree."""
    label = case.repo.labels[-1]
    case.arguments = ["--set", label]
    command = ["restore", "--config", case.conf(), "--stanza", "main", "--type", "none",
               "--tablespace-map-all", case.space / "ts", *case.arguments]
    for name, data in case.nodes.items():
        command += ["--node", f"{name}={data}"]
    interrupted = 0
    for count in (1, 120, 600):
        daemon = case.pgrevive.launch(*command, log=case.space / "log")

        def files():
            base = case.nodes["replica"] / "base"
            return sum(len(names) for _, _, names in os.walk(base))

        while daemon.running() and files() < count:
            time.sleep(0.001)
        if daemon.running():
            daemon.process.send_signal(getattr(signal, how))
        code = daemon.process.wait(60)
        if code != 0:
            interrupted += 1
            case.nothing_that_starts()
            assert code == (-signal.SIGKILL if how == "SIGKILL" else 31), daemon.tail()
        else:
            for data in case.nodes.values():
                shutil.rmtree(data)
            shutil.rmtree(case.space / "ts")
    assert interrupted, "every restore was over before it could be interrupted"
    result = case.run()
    assert result.returncode == 0, message(result)
    expected = case.repo.restore(label, case.space / "o", case.space / "ots")
    expected = tree.data_directory(expected)
    for name, data in case.nodes.items():
        tree.assert_equal(expected, tree.data_directory(data), name)


def test_half_restored_directory_is_not_mixed(case):
    """Interrupted while making one backup, then asked for another: never a mixture."""
    first, second = case.repo.labels[0], case.repo.labels[-1]
    command = ["restore", "--config", case.conf(), "--stanza", "main", "--type", "none",
               "--tablespace-map-all", case.space / "ts", "--set", first]
    for name, data in case.nodes.items():
        command += ["--node", f"{name}={data}"]
    daemon = case.pgrevive.launch(*command, log=case.space / "log")
    while daemon.running() and not (case.nodes["replica"] / "base").exists():
        time.sleep(0.001)
    daemon.process.kill()
    daemon.process.wait(10)
    case.arguments = ["--set", second]
    result = case.run()
    if result.returncode == 0:
        expected = case.repo.restore(second, case.space / "o", case.space / "ots")
        tree.assert_equal(tree.data_directory(expected),
                          tree.data_directory(case.nodes["primary"]), "the second backup")
    else:
        assert first in result.stderr and "hint: " in result.stderr, message(result)
        case.nothing_that_starts()


def test_source_is_never_written(pgrevive, workspace, matrix):
    """A repository that cannot be written is enough, and nothing in it changes."""
    case = Case(pgrevive, workspace, matrix.repository(FORM)).own()
    run(["chmod", "-R", "a-w,a+rX", case.path])
    before = tree.plain(case.path)
    result = case.run(user=server_user())
    if os.geteuid() == 0:
        give(case.space / "pgbackrest.conf", server_user())
    assert result.returncode == 0, message(result)
    assert tree.plain(case.path) == before
    run(["chmod", "-R", "u+w", case.path])


