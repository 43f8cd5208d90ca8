"""Rarely used names of the .env, all of them in one cluster from a bucket: each takes effect."""

import http.server
import pathlib
import socket
import struct
import threading

import pytest

from rig import browser, seals, soundness
from rig.cluster import PASSWORD, AdminerBrowser, Cluster
from rig.postgres import binaries, server_user
from rig.process import consecutive_ports, free_port, listening, run, wait_until
from rig.program import message
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS, MARKERS, ROWS
from rig.workspace import give

NODES = ["primary", "replica", "replica-2"]
SETTINGS = {"SHARED_BUFFERS": "48MB", "EFFECTIVE_CACHE_SIZE": "777MB", "WORK_MEM": "7MB",
            "MAINTENANCE_WORK_MEM": "77MB", "MAX_WAL_SENDERS": "17", "MAX_REPLICATION_SLOTS": "19"}
OWN_ARCHIVE = "elsewhere/of-options"


@pytest.fixture(scope="module")
def cluster(pgrevive, space, story, bucket):
    prefix = bucket.upload_once(story.repo.path, "story/pgbackrest")
    seals.allow(bucket.name, f"{OWN_ARCHIVE}/")
    programs = space.directory("bin")
    for program in binaries().iterdir():
        (programs / program.name).symlink_to(program)
    cluster = Cluster(pgrevive, space.directory("h"), {
        **cluster_values(bucket, prefix), "S3_VERIFY_TLS": "false", "REPO_CIPHER_PASS": CIPHER_PASS,
        **SETTINGS, "REPLICAS": 2, "POSTGRES_USER": "boss", "POSTGRES_DB": "made anew",
        "LISTEN_ADDRESSES": "127.0.0.1,127.0.0.2",
        "ALLOWED_NETWORKS": "127.0.0.4/30, 10.11.0.0/16", "ADMINER_LISTEN": "127.0.0.3",
        "POSTGRES_BIN": programs, "RETENTION_FULL": 7, "RETENTION_DIFF": 9,
        "PGBACKREST_PROCESS_MAX": 3, "WAL_ARCHIVE_PATH": f"/{OWN_ARCHIVE}",
        "CONSOLE_PORT": free_port()}, name="options")
    cluster.values["POSTGRES_REPLICA_PORT"] = cluster.replica_port = consecutive_ports(2)
    cluster.write_env()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.gone()


def ask(cluster, node, question, database="testdb"):
    return cluster.sql(node, question, database, user="boss")


def test_two_replicas(cluster):
    """REPLICAS=2: both stream, each with a slot, and have all rows."""
    assert ask(cluster, "primary", "select string_agg(application_name || ' ' || state, ', ' order by "
               "application_name) from pg_stat_replication") == "replica streaming, replica-2 streaming"
    assert ask(cluster, "primary", "select count(*) from pg_replication_slots where active") == "2"
    for node in NODES:
        assert ask(cluster, node, MARKERS) == ROWS
    assert [node["name"] for node in cluster.status()["nodes"]] == NODES
    text = cluster.run("test").stdout
    for word in ("replica streams", "replica-2 streams", "a row reaches replica-2"):
        assert word in text
    assert cluster.run("psql", "replica-2", "-Atc",
                       "select pg_is_in_recovery()").stdout.strip() == "t"


def test_two_replicas_on_the_page(cluster):
    """Each beside the primary, with its link and its line, also where there is little room."""
    browser.install()
    url = f"http://127.0.0.1:{cluster.values['CONSOLE_PORT']}/"
    for language, link in (("en-US", "streaming"), ("pt-BR", "recebendo")):
        looked = browser.look(url, language=language, widths=[1280, 360, 720])
        assert looked["complaints"] == looked["violations"] == [] and looked["rules_passed"] > 20, looked
        for width, shown in looked["widths"].items():
            assert shown == {"broken": [], "scroll_width": int(width)}, looked["widths"]
        last = looked["last"]
        assert list(last["nodes"]) == NODES
        assert [told.removeprefix("→ ") for told in last["links"]] == [link, link]
        assert [told.split(":")[0] for told in last["legend"]] == NODES[1:]


@pytest.mark.parametrize("node", NODES)
def test_settings_of_postgresql(cluster, node):
    for name, value in SETTINGS.items():
        assert ask(cluster, node, f"show {name.lower()}") == value, name


def test_user_and_database_are_made(cluster):
    """POSTGRES_USER and POSTGRES_DB that the backup does not have."""
    assert ask(cluster, "primary", "select current_user || ' ' || current_database()",
               "made anew") == "boss made anew"
    assert ask(cluster, "primary", "select rolsuper from pg_roles where rolname = 'boss'") == "t"


def answer_to_startup(source, address, port):
    """What the server says to somebody from that address who wants to come in as boss."""
    with socket.create_connection((address, port), 5, (source, 0)) as connection:
        words = b"user\0boss\0database\0testdb\0\0"
        connection.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        return connection.recv(1000)


def test_listen_addresses_and_allowed_networks(cluster):
    for node in NODES:
        port = cluster.port(node)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.5", port), 2).close()
        for address in ("127.0.0.1", "127.0.0.2"):
            assert answer_to_startup("127.0.0.6", address, port)[:1] == b"R"
            assert b"no pg_hba.conf entry" in answer_to_startup("127.0.0.9", address, port)
        # Nobody comes in without the password.
        assert b"SCRAM-SHA-256" in answer_to_startup("127.0.0.6", "127.0.0.1", port)


def test_adminer_listen(cluster):
    assert not listening(cluster.adminer_port)
    browser = AdminerBrowser(cluster.adminer_port, "127.0.0.3")
    page = browser.get()
    for node in NODES:
        assert str(cluster.port(node)) in page
    assert cluster.status()["adminer_url"] == f"http://127.0.0.3:{cluster.adminer_port}/"


def test_postgres_bin(cluster):
    """The servers are the programs of that directory, and exec finds them first."""
    lines = [line for line in cluster.processes().values() if "/data" in line and "postgres" in line]
    assert sum(line.startswith(f"{cluster.values['POSTGRES_BIN']}/postgres ") for line in lines) == 3
    found = cluster.run("exec", "replica-2", "--", "sh", "-c", "command -v pg_controldata").stdout
    assert found.strip() == f"{cluster.values['POSTGRES_BIN']}/pg_controldata"


def test_own_archive(cluster, bucket):
    """WAL_ARCHIVE_PATH in the bucket, with the retention and processes of the .env."""
    conf = (cluster.root / "pgbackrest" / "pgbackrest.conf").read_text().splitlines()
    for line in ("repo1-retention-full=7", "repo1-retention-diff=9", "process-max=3",
                 "repo1-storage-verify-tls=n", f"repo1-path=/{OWN_ARCHIVE}"):
        assert line in conf
    name = ask(cluster, "primary", "select pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: ask(cluster, "primary", "select last_archived_wal >= "
                           f"'{name}' from pg_stat_archiver") == "t", 60, f"{name} is archived")
    keys = bucket.s3.listing(bucket.name, OWN_ARCHIVE)
    assert any(f"/{name}-" in key for key in keys), sorted(keys)
    run(["pgbackrest", f"--config={cluster.root}/pgbackrest/pgbackrest.conf", "--stanza=main",
         "check"], user=server_user(), timeout=90)


def test_archive_in_a_bucket_outlives_the_cluster(cluster, bucket):
    """The last test with this cluster: cleanup names what it keeps, and nobody writes into it."""
    assert soundness.prove(cluster) == NODES  # stopped, it archives the last segment
    keys = bucket.s3.listing(bucket.name, OWN_ARCHIVE)
    text = cluster.run("cleanup", "--yes").stdout
    assert OWN_ARCHIVE in text and "kept" in text
    assert not cluster.root.exists()
    assert bucket.s3.listing(bucket.name, OWN_ARCHIVE) == keys
    result = cluster.start(check=False)
    assert result.returncode == 26, message(result)
    assert OWN_ARCHIVE in result.stderr and "hint: " in result.stderr
    assert not (cluster.root / "primary" / "data" / "base").exists()
    assert bucket.s3.listing(bucket.name, OWN_ARCHIVE) == keys


class Listener(http.server.BaseHTTPRequestHandler):
    """Refuses everything and remembers how it was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def listener():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Listener)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.mark.parametrize("style, host, path", [("path", "localhost", "/backups"),
                                               ("host", "backups.localhost", "/")])
def test_temporary_credentials_and_uri_style(pgrevive, workspace, listener, style, host, path):
    """S3_SESSION_TOKEN is sent and signed; S3_URI_STYLE decides where the bucket's name stands."""
    port = listener.server_port
    env = pathlib.Path(workspace.path) / ".env"
    env.write_text(f"""REPO_TYPE=s3
S3_BUCKET=backups
S3_ENDPOINT=http://localhost:{port}
S3_REGION=us-east-1
S3_ACCESS_KEY=ASIATEMPORARY0000001
S3_SECRET_KEY=one-secret
S3_SESSION_TOKEN=token/of+an=hour
S3_URI_STYLE={style}
POSTGRES_PASSWORD="{PASSWORD.replace('"', "")}"
""")
    give(env, server_user())
    result = pgrevive("--env-file", env, "info", check=False)
    assert result.returncode == 28, message(result)
    assert "403" in result.stderr and "token/of+an=hour" not in message(result)
    assert listener.asked
    for asked, headers in listener.asked:
        assert headers["host"] == f"{host}:{port}"
        assert asked.startswith(path)
        assert headers["x-amz-security-token"] == "token/of+an=hour"
        signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        assert "x-amz-security-token" in signed and "host" in signed
