"""One fault at a time, at any point of the job: rig/sweep.py says what is injected and judged.

Here a few cases of each kind; `scripts/fault-sweep.sh` runs as many as are wanted, and one again by
its name. PGREVIVE_SWEEP_SEED, _CASES (a number for each family, or all), _FAMILIES and _POINTS (names
of cases) are how it says so.
"""

import concurrent.futures
import errno
import os
import shutil
import time

import pytest

from rig.backrest import s3_options, write_conf
from rig.cluster import Cluster
from rig.faults import FaultyService
from rig.faulty_calls import Call, FaultyCalls
from rig.process import free_port, wait_until
from rig.program import message
from rig.story import CIPHER_PASS
from rig.sweep import DISK_FULL, FAMILIES, READ_ONLY, Case, Point, Sweep, table

PREFIX = "sweep"
SEED = os.environ.get("PGREVIVE_SWEEP_SEED", "1")
CASES = os.environ.get("PGREVIVE_SWEEP_CASES", "")
EVERY = "PGREVIVE_SWEEP_EVERY" in os.environ
FEW = {"s3": 2, "calls": 2, "starts": 1, "kills": 1}
POINTS = os.environ.get("PGREVIVE_SWEEP_POINTS", "").split()
WANTED = os.environ.get("PGREVIVE_SWEEP_FAMILIES", " ".join(FAMILIES)).split()
TABLE = os.environ.get("PGREVIVE_SWEEP_TABLE")


class SweptCluster(Cluster):
    """Its commands run with variables that change from run to run."""

    variables = {}

    @property
    def environment(self):
        return {**super().environment, **self.variables}

    def wipe(self):
        """Whatever is left of a run that went wrong."""
        self.variables = {}
        self._end()
        shutil.rmtree(self.root, ignore_errors=True)


# What each family's cluster has beside its two nodes: nothing where that would only take time.
BARE = {"WAL_ARCHIVE": "off", "ADMINER_PORT": 0}
FULL = {"WAL_ARCHIVE_TYPE": "posix", "CONSOLE_PORT": free_port()}
EXTENT = {"s3": BARE, "calls": BARE, "starts": FULL, "kills": FULL}


@pytest.fixture(scope="module")
def service(space, story, bucket, gateway):
    bucket.upload_once(story.repo.path, PREFIX)
    with FaultyService(gateway, space.path / "tls") as made:
        yield made


@pytest.fixture(scope="module")
def conf(space, service, bucket, gateway):
    """A pgbackrest.conf, because it can say that three seconds of silence are enough."""
    ca_file = space.path / "sweep-ca.crt"
    shutil.copy(service.ca_file, ca_file)
    ca_file.chmod(0o644)
    return write_conf(space.path / "sweep.conf", {"global": {
        **s3_options(gateway, bucket.name, PREFIX), "repo1-s3-endpoint": "localhost",
        "repo1-storage-port": service.port, "repo1-storage-ca-file": ca_file, "io-timeout": 3,
        "repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": CIPHER_PASS}})


@pytest.fixture(scope="module")
def sweep_of(pgrevive, space, story, bucket, service, conf):
    """A function: a family to its Sweep. The points are measured at the first call."""
    made = []

    def sweep_of(family):
        extent = EXTENT[family]
        for known, sweep in made:
            if known is extent:
                return sweep
        cluster = SweptCluster(pgrevive, space.directory(f"h{len(made)}"), {
            "RESTORE_SET": story.repo.labels[0], **extent},
            name=f"swept{len(made)}", options=["--config", conf, "--stanza", "main"])
        # For the seals: where its source is.
        cluster.values.update({"S3_BUCKET": bucket.name, "S3_PATH": f"/{PREFIX}"})
        calls = FaultyCalls(space.path / f"calls{len(made)}", cluster.root)
        try:
            made.append((extent, Sweep(cluster, service, calls, story, EVERY)))
        except BaseException:
            cluster.wipe()
            raise
        return made[-1][1]

    yield sweep_of
    for _, sweep in made:
        sweep.cluster.wipe()


def run(sweep, cases, many=None):
    """All of them, or so many that the fault did happen in: one that never happened proves nothing. The
    first of them is proven to be sound, and every one where others than the usual few are asked for."""
    outcomes = []
    for case in cases:
        reached = sum(outcome.verdict != "unreached" for outcome in outcomes)
        if many is not None and reached >= many:
            break
        outcomes.append(sweep.run(case, prove=bool(CASES or POINTS or reached == 0)))
        if TABLE:
            with open(TABLE, "a", encoding="utf-8") as out:
                print(outcomes[-1], file=out, flush=True)
        print(outcomes[-1], flush=True)
    text = table(outcomes)
    print(f"seed {SEED}, {sweep.counted}, a run without a fault {sweep.seconds:.1f} s\n{text}")
    if TABLE:
        with open(TABLE, "a", encoding="utf-8") as out:
            print("\n".join(text.splitlines()[-1:]), file=out)
    wrong = [outcome for outcome in outcomes if outcome.verdict == "WRONG"]
    assert not wrong, "\n".join(map(str, wrong))
    return outcomes


# What the sweep has found once. Their numbers change with the program, so they are named as calls.

@pytest.fixture
def struck(sweep_of):
    """A function: runs a job in which such a call fails, and returns what became of it."""
    if POINTS or CASES == "all":
        pytest.skip("others are asked for")

    def strike(family, function, role, name, fault, then=(), words=()):
        point = Point(Call(function, role, name), 1)
        return sweep_of(family).run(
            Case(family, 0, point, fault, "stays" if then else "once", then), words=words)
    return strike


def test_full_disk_is_named(struck):
    """Also where nothing can be written any more that would say so."""
    outcome = struck("calls", "pwrite", "supervise", "@/primary/data/global/pg_control.pgrevive.tmp",
                     "ENOSPC", DISK_FULL)
    assert outcome.verdict == "stopped" and "No space left" in outcome.said, outcome


@pytest.mark.thorough(words=(["--reindex"],))
@pytest.mark.parametrize("words", [[], ["--reindex"]], ids=["plain", "reindex"])
def test_half_a_start_is_no_obstacle(struck, words):
    """One that made a directory and could not say whose it is is followed by one that does."""
    outcome = struck("calls", "rename", "start", "@/pgrevive.json", "EROFS", READ_ONLY, words=words)
    assert outcome.verdict == "stopped", outcome


def test_no_memory_is_no_missing_postgresql(struck):
    outcome = struck("starts", "execve", "start", "postgres", "ENOMEM", ("execve",))
    assert outcome.verdict == "stopped" and "Cannot allocate memory" in outcome.said, outcome


def test_a_log_that_cannot_be_read_is_not_no_reason(struck):
    """Where nothing can be read any more, not even why the supervisor has ended."""
    outcome = struck("calls", "read", "supervise", "@/settings.json", "EIO", ("read", "pread"))
    assert outcome.verdict == "stopped", outcome
    assert "supervisor.log: Input/output error" in outcome.said, outcome


def test_adminer_that_cannot_start(struck):
    """A cluster that is up stays up without it."""
    outcome = struck("starts", "execve", "supervise", "php", "ENOMEM", ("execve",))
    assert outcome.verdict == "right", outcome


def test_status_that_could_not_be_written_is_told_later(sweep_of):
    """`start` sees that the cluster runs as soon as that can be told, not never."""
    sweep = sweep_of("starts")
    sweep.cluster.variables = sweep.calls.struck(
        Call("execve", "supervise", "php"), 1, errno.EACCES, ("create",))
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            start = pool.submit(sweep.cluster.start, check=False, timeout=150)
            wait_until(sweep.calls.hits, 120, "Adminer is begun, and no file can be made any more")
            time.sleep(3)
            assert not start.done(), message(start.result())
            sweep.calls.lift()
            assert start.result(60).returncode == 0, message(start.result())
    finally:
        sweep.cluster.wipe()


@pytest.mark.parametrize("family", FAMILIES)
def test_one_fault_at_a_time(sweep_of, family):
    if family not in WANTED:
        pytest.skip("not asked for")
    sweep = sweep_of(family)
    if POINTS:
        run(sweep, [sweep.named(name) for name in POINTS if name.startswith(f"{family}:")])
        return
    many = None if CASES == "all" else int(CASES or FEW[family])
    chosen = sweep.choose(SEED, many and 3 * many, [family])
    outcomes = run(sweep, chosen, many)
    assert any(outcome.verdict != "unreached" for outcome in outcomes)
