"""An S3 service out of Debian's Ceph: one monitor, one OSD in memory, one RADOS gateway.

TLS with a certificate of a test CA, Signature V4, one user. Everything is a child of this process,
lies in one directory and is gone after stop(). Works as root and as any other user.

`python3 -m rig.rgw --dir DIR` starts one, prints how to reach it and waits for Ctrl-C.
"""

import argparse
import copy
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import sys
import time
import urllib.request
import uuid

from rig.process import Daemon, Failed, free_port, listening, run, wait_until

PACKAGES = ["radosgw", "ceph-mon", "ceph-osd", "ceph-common", "openssl", "s3cmd"]
PROGRAMS = ["radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "monmaptool", "openssl"]

REGION = "us-east-1"  # what RGW takes in signatures without a realm is any; tools want a word
# A host name that is not below this one the gateway takes for a bucket's; BUCKET.localhost is this
# host for curl, and for others with an address given beside it.
DOMAIN = "localhost"
# Of a zonegroup that nobody serves.
THERE = "https://there.invalid:7443"
HOST_STYLE_BUCKETS = ["backups", "bucket"]


def missing_programs():
    return [name for name in PROGRAMS if shutil.which(name) is None]


def _also_on_ipv6(port):
    """pgBackRest 2.45 tries only the first address of localhost, which many hosts say is ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", port))
    except OSError:
        return ""
    return f" ssl_endpoint=[::1]:{port}"


@dataclasses.dataclass
class Authority:
    """A test CA in a directory, and what it signed."""

    directory: pathlib.Path

    @property
    def certificate(self):
        return self.directory / "ca.crt"

    @classmethod
    def make(cls, directory, name="pgrevive test CA"):
        self = cls(pathlib.Path(directory))
        self.directory.mkdir(parents=True, exist_ok=True)
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
             "-subj", f"/CN={name}", "-keyout", self.directory / "ca.key",
             "-out", self.certificate, "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        return self

    def sign(self, name, alternatives):
        """A certificate and its key in one file, as RGW wants them."""
        base = self.directory / name
        extensions = base.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={alternatives}\n"
                              "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
             "-keyout", f"{base}.key", "-out", f"{base}.csr"])
        run(["openssl", "x509", "-req", "-in", f"{base}.csr", "-CA", self.certificate,
             "-CAkey", self.directory / "ca.key", "-CAcreateserial", "-days", "30",
             "-extfile", extensions, "-out", f"{base}.crt"])
        both = pathlib.Path(f"{base}.pem")
        both.write_text(pathlib.Path(f"{base}.crt").read_text()
                        + pathlib.Path(f"{base}.key").read_text())
        return both


class CephRGW:
    """The service. Attributes: port (TLS), plain_port, access_key, secret_key, ca_file, region; reader
    is a pair of keys that can read all that these can, and write nothing."""

    def __init__(self, directory, *, like_far_away=False, uid="pgrevive", domain=DOMAIN,
                 address=None):
        """`address`: where others than this host reach it, by the name `domain`."""
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.plain_port = free_port()
        self.region = REGION
        self.domain = domain
        self._address = address
        self.access_key = "PGREVIVETESTKEY00001"
        # Each of runs side by side has its own: who makes users is told them as words, and tests look
        # for theirs in the list of all processes.
        run_name = os.environ.get("PYTEST_XDIST_WORKER", "")
        self.secret_key = "tEstSecret+with/odd=signs0123456789abcdef" + run_name
        self.reader = ("PGREVIVEREADSONLY001", "tEstSecret+of/those=who0123456789read" + run_name)
        self._like_far_away = like_far_away
        self._uid = uid
        self._daemons = []
        self._mon_port = free_port()
        self._certificates = self.directory / "tls"
        self.conf = self.directory / "ceph.conf"

    @property
    def ca_file(self):
        return self._certificates / "ca.crt"

    @property
    def endpoint(self):
        return f"https://{self.domain}:{self.port}"

    @property
    def plain_endpoint(self):
        return f"http://localhost:{self.plain_port}"

    @property
    def pids(self):
        return [daemon.pid for daemon in self._daemons]

    def start(self):
        absent = missing_programs()
        if absent:
            raise Failed(f"no {', '.join(absent)} (packages: {' '.join(PACKAGES)})")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self):
        authority = Authority.make(self._certificates)
        certificate = authority.sign(
            "gateway", ",".join([f"DNS:{self.domain}", "IP:127.0.0.1",
                                  # A wildcard right below a top-level name counts nowhere.
                                  *(f"DNS:{bucket}.{self.domain}"
                                    for bucket in HOST_STYLE_BUCKETS)]))
        elsewhere = f" ssl_endpoint={self._address}:{self.port}" if self._address else ""

        # Nagle and delayed acknowledgement together make every answer 40 ms late, which is what a
        # far service looks like; tests of correctness have no use for it.
        nodelay = "" if self._like_far_away else " tcp_nodelay=1"
        fsid = uuid.uuid4()
        self.conf.write_text(f"""[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{self._mon_port}
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr2 = false
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {self.directory}/run
admin socket =
log file =
log to stderr = true
err to stderr = true
keyring = /dev/null
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
osd crush chooseleaf type = 0
# The data is in memory and a full disk of the host is no concern of the test.
mon data avail crit = 1
mon data avail warn = 1
[mon]
mon data = {self.directory}/mon
mon election default strategy = 1
paxos propose interval = 0.05
paxos min wait = 0.02
mon osd min in ratio = 0
[osd]
osd data = {self.directory}/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd class update on start = false
osd crush update on start = false
osd max object name len = 256
osd max object namespace len = 64
[client]
rgw data = {self.directory}/rgw
rgw dns name = {self.domain}
rgw frontends = beast endpoint=127.0.0.1:{self.plain_port} ssl_endpoint=127.0.0.1:{self.port}{elsewhere}{_also_on_ipv6(self.port)} ssl_certificate={certificate}{nodelay}
rgw enable usage log = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw max chunk size = 4194304
rgw thread pool size = 64
""")
        for name in ("run", "mon", "osd", "rgw"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
            (self.directory / name).mkdir()
        monmap = self.directory / "monmap"
        run(["monmaptool", "--create", "--clobber", "--fsid", str(fsid), "--addv", "a",
             f"[v1:127.0.0.1:{self._mon_port}]", monmap])
        base = ["-c", str(self.conf)]
        run(["ceph-mon", *base, "-i", "a", "--mkfs", "--monmap", str(monmap)])
        self._daemon("ceph-mon", *base, "-f", "-i", "a")
        osd_uuid = str(uuid.uuid4())
        self._ceph("osd", "new", osd_uuid, "0")
        self._ceph("osd", "crush", "add", "osd.0", "1", "root=default")
        run(["ceph-osd", *base, "-i", "0", "--mkfs", "--osd-uuid", osd_uuid])
        self._daemon("ceph-osd", *base, "-f", "-i", "0")
        self._radosgw_admin("user", "create", f"--uid={self._uid}", "--display-name=test",
                            f"--access-key={self.access_key}", f"--secret-key={self.secret_key}",
                            "--max-buckets=1000")
        self._radosgw_admin("subuser", "create", f"--uid={self._uid}", f"--subuser={self._uid}:reader",
                            "--access=read", "--key-type=s3", f"--access-key={self.reader[0]}",
                            f"--secret-key={self.reader[1]}")
        self._start_gateway()

    def _start_gateway(self):
        gateway = self._daemon("radosgw", "-c", str(self.conf), "-f", "-n", "client.admin")
        wait_until(lambda: self._answers() or not gateway.running(), 60, "radosgw answers")
        if not gateway.running():
            raise Failed(f"radosgw ended: {gateway.tail()}")

    def _daemon(self, program, *arguments):
        daemon = Daemon([program, *arguments], self.directory / f"{program}.log")
        self._daemons.append(daemon)
        return daemon

    def _ceph(self, *arguments):
        # A monitor that has just begun to answer refuses what it allows a moment later.
        end = time.monotonic() + 30
        while True:
            try:
                return run(["ceph", "-c", str(self.conf), "--connect-timeout", "30", *arguments])
            except Failed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)

    def _radosgw_admin(self, *arguments, **options):
        return run(["radosgw-admin", "-c", str(self.conf), "-n", "client.admin", *arguments],
                   **options).stdout

    def _answers(self):
        if not listening(self.port):
            return False
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/", context=context, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def add_user(self, uid, access_key, secret_key):
        self._radosgw_admin("user", "create", f"--uid={uid}", f"--display-name={uid}",
                            f"--access-key={access_key}", f"--secret-key={secret_key}")

    def of_two_zonegroups(self):
        """Another gateway on the same store, in one of two zonegroups. The other is served by nobody."""
        other = copy.copy(self)
        other.port, other.plain_port = free_port(), free_port()
        other.region = "here-1"
        other.directory = self.directory / "two"
        other.directory.mkdir()
        other._certificates = self.directory / "tls"
        other.conf = other.directory / "ceph.conf"
        roots = "".join(f"rgw {kind} root pool = two.root\n"
                        for kind in ("realm", "period", "zonegroup", "zone"))
        other.conf.write_text(
            self.conf.read_text().replace(f":{self.port}", f":{other.port}").replace(
                f":{self.plain_port}", f":{other.plain_port}") + roots
            + "rgw realm = world\nrgw zonegroup = here\nrgw zone = here-a\n")
        other._radosgw_admin("realm", "create", "--rgw-realm=world")
        for name, words in (("here", [f"--endpoints={other.endpoint}", "--master"]),
                            ("there", [f"--endpoints={THERE}"])):
            group = [f"--rgw-zonegroup={name}", *words]
            other._radosgw_admin("zonegroup", "create", f"--api-name={name}-1", *group)
            other._radosgw_admin("zone", "create", f"--rgw-zone={name}-a", *group)
        other._radosgw_admin("period", "update", "--commit")
        other.add_user(self._uid, self.access_key, self.secret_key)
        other._start_gateway()
        return other

    def move_there(self, bucket):
        """That bucket is of the other zonegroup from now on."""
        there = json.loads(self._radosgw_admin("zonegroup", "get", "--rgw-zonegroup=there"))["id"]
        entry = json.loads(self._radosgw_admin("metadata", "get", f"bucket:{bucket}"))
        instance = f"bucket.instance:{bucket}:{entry['data']['bucket']['bucket_id']}"
        data = json.loads(self._radosgw_admin("metadata", "get", instance))
        data["data"]["bucket_info"]["zonegroup"] = there
        self._radosgw_admin("metadata", "put", instance, input=json.dumps(data))

    def stop(self):
        # The data is in memory and nobody waits for it.
        for daemon in reversed(self._daemons):
            daemon.stop(signal.SIGKILL)
        self._daemons.clear()


def main():
    parser = argparse.ArgumentParser(description="Start an S3 service (Ceph RGW) for tests.")
    parser.add_argument("--dir", required=True, help="directory for its files, made if absent")
    parser.add_argument("--like-far-away", action="store_true",
                        help="answer in about 41 ms instead of at once")
    parser.add_argument("--bucket", action="append", default=[], help="make this bucket")
    options = parser.parse_args()
    begin = time.monotonic()
    gateway = CephRGW(options.dir, like_far_away=options.like_far_away).start()
    try:
        from rig.s3 import S3
        for bucket in options.bucket:
            S3(gateway).make_bucket(bucket)
        print(json.dumps({
            "endpoint": gateway.endpoint, "plain_endpoint": gateway.plain_endpoint,
            "access_key": gateway.access_key, "secret_key": gateway.secret_key,
            "region": gateway.region, "ca_file": str(gateway.ca_file),
            "host_style_domain": gateway.domain, "buckets": options.bucket,
            "s3cmd_config": str(S3(gateway).config),
            "pid": os.getpid(), "seconds_to_start": round(time.monotonic() - begin, 1)}, indent=2),
            flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        gateway.stop()


if __name__ == "__main__":
    main()
