"""What people get wrong about a repository and what breaks in it: each ends with its own exit code, a
message that names the thing, a hint where one helps, and no directory that could be started."""

import concurrent.futures
import shutil

import pytest

from rig import repofiles, tree
from rig.case import CORRUPT, DENIED, FORM, NOT_FOUND, UNAVAILABLE, UNSUPPORTED, USAGE, Case
from rig.matrix import FORMS
from rig.process import free_port
from rig.program import message
from rig.rgw import Authority


def s3_case_in(space, pgrevive, matrix, bucket):
    repo = matrix.repository(FORM)
    case = Case(pgrevive, space, repo)
    prefix = bucket.upload_once(repo.path, f"matrix/{FORM.name}")
    case.options = {"io-timeout": 5, **repo.s3_options(bucket.gateway, bucket.name, prefix)}
    return case


@pytest.fixture
def s3_case(pgrevive, workspace, matrix, bucket):
    """The bucket's copy, which is not to be broken."""
    return s3_case_in(workspace.path, pgrevive, matrix, bucket)


# The bucket and the way to it.

def test_wrong_key(s3_case):
    s3_case.options["repo1-s3-key"] = "NOSUCHKEY"
    s3_case.refused(DENIED, "backups", "backup/main/backup.info", "InvalidAccessKeyId", 403)


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


def test_unreachable(pgrevive, workspace, matrix, bucket):
    """Retries take their time, so all at once: nobody listens, no such name, HTTP spoken to TLS."""
    port = free_port()
    troubles = {
        "silent": ({"repo1-storage-port": port}, ("localhost", port)),
        "unnamed": ({"repo1-s3-endpoint": "nosuch.invalid"}, ("nosuch.invalid",)),
        "plain": ({"repo1-s3-endpoint": f"http://127.0.0.1:{bucket.gateway.port}",
                   "repo1-storage-port": None}, ("http://", bucket.gateway.port)),
    }

    def look(name):
        options, words = troubles[name]
        case = s3_case_in(workspace.directory(name), pgrevive, matrix, bucket)
        case.options = {key: value for key, value in {**case.options, **options}.items()
                        if value is not None}
        case.refused(UNAVAILABLE, *words)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(look, troubles))


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


@pytest.mark.parametrize("number", [4, 6, 7])
def test_other_repository_format(files_case, number):
    """A plain repository of a format that we do not read, with its checksums right."""
    for path in (files_case.backup / "backup.info", files_case.path / "archive/main/archive.info"):
        text = path.read_text()
        assert repofiles.with_checksum(text) == text, "the rig's checksum is not pgBackRest's"
        text = repofiles.with_checksum(text.replace("backrest-format=5\n", f"backrest-format={number}\n"))
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
    case = Case(pgrevive, workspace.path, matrix.repository(FORMS[9])).own()
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
