"""The fault sweep: the whole job again and again, each time with one fault at one numbered point.

A first run without a fault counts the points: each request to the S3 service, and each call of the
system that one of our processes makes below the cluster's directory, to start a child, or to find a
host. Then each case is one run, judged by what has to be true whatever happened:

- it ends, in bounded time;
- it ends right, or stops with an error that names cause and remedy, and then one `start` more ends
  right (a remedy for what is well again by itself);
- no server accepts connections with rows that are wrong or missing, at any end;
- nothing is left that keeps the next run or `cleanup` from going through;
- the source is what it was.

A case has a name, which says what goes wrong where, and `choose` draws the same cases from the same
seed.
"""

import dataclasses
import errno
import os
import random
import re
import subprocess
import time

from rig import seals, soundness
from rig.case import SYSTEM
from rig.faults import KINDS_OF_HEAD, Rule
from rig.process import Failed, wait_until
from rig.program import message
from rig.story import MARKERS, ROWS

# What a message has to say of a fault that does not pass; any of the words.
S3_KINDS = {
    "dies": "refused|[Cc]ould.?n.t connect|Failed to connect|reset|closed|empty reply",
    "reset": "reset|closed|bytes|Recv|SSL|incomplete",
    "stall": "bytes|time|slow",
    "internal_error": "500|InternalError",
    "slow_down": "503|SlowDown",
    "expired": "ExpiredToken",
    "not_found": "404|NoSuchKey|not there|no such|cannot find|not found|does not exist|absent|missing",
    "truncated": "bytes|closed|incomplete|ended|end of|truncated",
    "wrong_range": "asked for|range|Range",
    "flipped": "checksum|SHA|match|decrypt|XML|corrupt|damage|format|passphrase|cannot be read|header",
    "error_in_200": "InternalError|XML|checksum|match|format|passphrase|bytes|header|asked for",
}

DISK_FULL = ("write", "pwrite", "create", "mkdir", "fallocate", "symlink", "link", "uring")
READ_ONLY = ("create", "open-to-write", "mkdir", "symlink", "link", "rename", "unlink",
             "ftruncate")
_NO_DESCRIPTORS = ("open", "create", "open-to-write", "pipe")

# Function to faults: (name, what is done, functions that fail from then on).
_CALL_FAULTS = {
    "write": [("ENOSPC", "stays", DISK_FULL), ("ENOSPC", "once", ()), ("EIO", "once", ()),
              ("short", "once", ())],
    "create": [("ENOSPC", "stays", DISK_FULL), ("EMFILE", "stays", _NO_DESCRIPTORS),
               ("EROFS", "stays", READ_ONLY), ("EMFILE", "once", ())],
    "open": [("EMFILE", "once", ()), ("EIO", "once", ())],
    "open-to-write": [("EMFILE", "once", ()), ("EROFS", "stays", READ_ONLY)],
    "read": [("EIO", "once", ()), ("EIO", "stays", ("read", "pread"))],
    "readdir": [("EIO", "once", ())],
    "mkdir": [("ENOSPC", "stays", DISK_FULL), ("EROFS", "stays", READ_ONLY)],
    "ftruncate": [("ENOSPC", "once", ()), ("EIO", "once", ())],
    "fallocate": [("ENOSPC", "once", ()), ("EOPNOTSUPP", "once", ())],
    "fsync": [("EIO", "once", ()), ("ENOSPC", "once", ())],
    "rename": [("EIO", "once", ()), ("EROFS", "stays", READ_ONLY), ("ENOSPC", "once", ())],
    "unlink": [("EROFS", "stays", READ_ONLY), ("EIO", "once", ())],
    "fchmod": [("EROFS", "once", ())],
    "getaddrinfo": [("EAGAIN", "once", ()), ("EAGAIN", "stays", ("getaddrinfo",))],
}
for _function, _like in (("pwrite", "write"), ("uring", "write"), ("symlink", "mkdir"),
                         ("link", "mkdir"), ("pread", "read"),
                         ("fdatasync", "fsync"), ("syncfs", "fsync"), ("fchown", "fchmod"),
                         ("futimens", "fchmod")):
    _CALL_FAULTS[_function] = _CALL_FAULTS[_like]
_START_FAULTS = {
    "fork": [("EAGAIN", "once", ()), ("ENOMEM", "stays", ("fork",))],
    "execve": [("EACCES", "once", ()), ("ENOENT", "once", ()), ("ENOMEM", "stays", ("execve",))],
    "pipe": [("EMFILE", "once", ()), ("EMFILE", "stays", _NO_DESCRIPTORS)],
}
# What each is called by who is told of it.
_CAUSE = {"ENOENT": "No such file|interpreter is missing"}

FAMILIES = ("s3", "calls", "starts", "kills")
_OURS = ("start", "supervise", "prefetch", "archive-get")
_MOST_SECONDS = 150
_NODES = ("primary", "replica")


@dataclasses.dataclass(frozen=True)
class Point:
    """`what`: the path and query of a request (behind "HEAD " where it is one), or a Call; `nth` of these
    in a run. `at`: how many came before it of its family in the run that counted."""

    what: object
    nth: int
    ranged: bool = False
    at: int = 0

    @property
    def request(self):
        """Its path and its method."""
        return (self.what.removeprefix("HEAD "), "HEAD" if self.what.startswith("HEAD ") else "GET")

    @property
    def name(self):
        """The same in the next run too, whose backup has another label."""
        text = re.sub(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?|(?<=-)[0-9a-f]{40}", "#", str(self.what))
        return text.replace(" ", "%20") + f",{self.nth}"


@dataclasses.dataclass(frozen=True)
class Case:
    family: str
    number: int
    point: Point
    fault: str
    way: str            # once or stays
    then: tuple = ()

    @property
    def name(self):
        return f"{self.family}:{self.point.name}:{self.fault}:{self.way}"


@dataclasses.dataclass
class Outcome:
    case: Case
    verdict: str        # right, stopped, unreached, WRONG
    seconds: float
    said: str = ""

    def __str__(self):
        return (f"{self.verdict:9} {self.seconds:5.1f} s  {self.case.number:4} {self.case.name}"
                + (f"\n            {self.said}" if self.said else ""))


class Wrong(Exception):
    """What must never be."""


def _expect(true, what):
    if not true:
        raise Wrong(what)


def _occurrences(things, every):
    """Points of things that repeat: every one, or the first, one in the middle and the last of each."""
    positions = {}
    for position, thing in enumerate(things):
        positions.setdefault(thing, []).append(position)
    return [Point(thing, nth, at=at[nth - 1]) for thing, at in positions.items()
            for nth in sorted(range(1, len(at) + 1) if every else {1, (len(at) + 1) // 2, len(at)})]


def _asked(request):
    return request.path if request.method == "GET" else f"{request.method} {request.path}"


class Sweep:
    """`cluster` is used for all runs, one after the other; `service` a FaultyService in front of its
    source; `calls` FaultyCalls of it. `story`: what is restored. `every`: what repeats is a point each
    time."""

    def __init__(self, cluster, service, calls, story, every=False):
        self.cluster, self.service, self.calls, self.story = cluster, service, calls, story
        self._every = every
        self._measure()

    # The points.

    def _measure(self):
        self.service.journal.clear()
        began = time.monotonic()
        self.cluster.variables = self.calls.watched()
        self.cluster.start(timeout=_MOST_SECONDS)
        self.seconds = time.monotonic() - began
        self.cluster.variables = {}
        self._digest = None
        self._whole()
        self._digest = self._rows_of("primary")
        calls = self.calls.calls()
        requests = list(self.service.journal)
        self._clean()
        changes = [call for call in calls
                   if call.role in _OURS and call.function not in ("read", "pread", "readdir", "open")]
        ranged = {_asked(request) for request in requests if request.ranged}
        counted = {
            "s3": map(_asked, requests),
            "calls": (call for call in calls if call.function in _CALL_FAULTS),
            "starts": (call for call in calls if call.function in _START_FAULTS),
            # What a process leaves that is killed before it only reads something, one leaves that is
            # killed at the next call.
            "kills": changes}
        self.points = {family: _occurrences(things, self._every) for family, things in counted.items()}
        self.points["s3"] = [dataclasses.replace(point, ranged=point.what in ranged)
                             for point in self.points["s3"]]
        # A server is there to be killed once it asks for WAL.
        self._there_from = {node: next(
            (at for at, call in enumerate(changes) if call.role == "archive-get"
             and call.name.startswith(f"@/{node}/")), len(changes)) for node in _NODES}
        self.counted = {"requests": len(requests), "calls": len(calls)}

    def cases(self, family):
        made = []
        for number, point in enumerate(self.points[family], 1):
            for fault, way, then in self._faults(family, point):
                made.append(Case(family, number, point, fault, way, tuple(then)))
        return made

    def _faults(self, family, point):
        if family == "s3":
            kinds = S3_KINDS if point.request[1] == "GET" else KINDS_OF_HEAD
            return [(kind, way, ()) for kind in kinds for way in ("once", "stays")
                    if kind != "wrong_range" or point.ranged]
        if family == "kills":
            victims = ["self"]
            if point.what.role == "supervise":
                victims += [node for node in _NODES if point.at > self._there_from[node]]
            return [(f"kill-{victim}", "once", ()) for victim in victims]
        faults = _CALL_FAULTS if family == "calls" else _START_FAULTS
        return faults[point.what.function]

    def choose(self, seed, many, families=FAMILIES):
        """So many cases of each family, or all; the same for the same seed and the same points. Each
        kind of fault is drawn before one is drawn twice."""
        chosen = []
        for family in families:
            chance = random.Random(f"{seed} {family}")
            cases = self.cases(family)
            chance.shuffle(cases)
            turn = {}
            for case in cases:
                kind = (case.fault, case.way)
                turn[kind] = turn.get(kind, 0) + 1
                chosen.append((FAMILIES.index(family), turn[kind], len(chosen), case))
        chosen.sort(key=lambda entry: entry[:3])
        result = []
        for index in range(len(FAMILIES)):
            result += [entry[3] for entry in chosen if entry[0] == index][:many]
        return result

    def named(self, name):
        family = name.partition(":")[0]
        return next(case for case in self.cases(family) if case.name == name)

    # One run.

    def run(self, case, prove=False, words=()):
        """`words`: more for `start`. `prove`: of a cluster that came up in the end also every page and
        every index is looked at, which takes a while."""
        began = time.monotonic()
        verdict, said = "WRONG", ""
        try:
            verdict, said = self._judged(case, words)
            if prove and verdict in ("right", "stopped"):
                soundness.prove(self.cluster)
        except Exception as why:  # a judge that stumbles has not found it right
            self._lift()
            said = f"{type(why).__name__}: {why}\n{self._state()}"
        finally:
            self._lift()
        try:
            self._clean()
            seals.prove_source(self.cluster.values)
        except (Wrong, Failed, AssertionError, subprocess.TimeoutExpired) as why:
            said += f"\nafterwards: {why}"
            verdict = "WRONG"
            self.cluster.wipe()
        return Outcome(case, verdict, time.monotonic() - began, said)

    def _state(self):
        """What a person would look at first."""
        try:
            status = self.cluster.status_or_none() or {}
            return f"status: {status.get('supervisor')}\n{self.cluster.logs()}"
        except Exception as why:
            return f"no status: {why}"

    def _judged(self, case, words):
        rule = self._arm(case)
        result = self.cluster.start(*words, check=False, timeout=_MOST_SECONDS)
        hits = rule.hits if rule is not None else len(self.calls.hits())
        if case.fault in ("kill-primary", "kill-replica"):
            hits -= 1  # the second line says that there was somebody to kill
        if hits < 1:
            _expect(result.returncode == 0, f"failed without a fault: {message(result)}")
            return "unreached", ""
        if result.returncode > 0:
            self._explains(case, result)
        self._opened_only_if_right()
        # From here on all is well again; whoever was started comes to an end, or to a cluster that runs.
        self._lift()
        self._settled()
        if result.returncode == 0:
            self._whole()
            return "right", ""
        first = next((line for line in message(result).splitlines() if "error" in line), "")
        self._opened_only_if_right()
        again = self.cluster.start(*words, check=False, timeout=_MOST_SECONDS)
        _expect(again.returncode == 0,
                f"a second start failed as well: first {message(result)}\nthen {message(again)}\n"
                f"{self.cluster.logs()}")
        self._whole()
        return "stopped", f"{result.returncode} {first}"

    def _arm(self, case):
        """Lays the fault where it is to happen; the rule, for one of the service."""
        if case.family == "s3":
            path, method = case.point.request
            return self.service.add(Rule(
                f"^{re.escape(path)}$", case.fault, nth=case.point.nth, method=method,
                times=1 if case.way == "once" else None,
                seconds=1 if case.way == "once" else None))
        what = case.fault
        if what.startswith("kill-"):
            node = what.removeprefix("kill-")
            what = "kill" if node == "self" else (
                f"kill:{self.cluster.root / node / 'data' / 'postmaster.pid'}")
        elif what != "short":
            what = getattr(errno, what)
        self.cluster.variables = self.calls.struck(case.point.what, case.point.nth, what, case.then)
        return None

    def _lift(self):
        """All is well again."""
        self.service.clear()
        self.service.revive()
        self.calls.lift()
        self.cluster.variables = {}

    def _settled(self):
        def over():
            status = self.cluster.status_or_none()
            return (not status or not status.get("supervisor_running")
                    or status["supervisor"]["phase"] in ("running", "failed"))
        wait_until(over, _MOST_SECONDS, "the supervisor runs or has ended", every=0.3)

    def _explains(self, case, result):
        text = message(result)
        _expect("error: " in text, f"no error is told: {text}")
        _expect(result.returncode != 20, f"internal error: {text}")
        _expect("hint: " in text, f"no remedy is told: {text}")
        if case.family == "s3":
            cause = S3_KINDS[case.fault]
        elif case.family == "kills":
            return
        elif case.point.what.function == "getaddrinfo":
            cause = "resolve"  # "cannot be resolved", "Could not resolve host"
        elif case.fault in _CAUSE:
            cause = _CAUSE[case.fault]
        else:
            cause = re.escape(os.strerror(getattr(errno, case.fault, 0)))
            if case.family == "calls":
                _expect(result.returncode == SYSTEM, f"exit code {result.returncode}: {text}")
        _expect(re.search(cause, text), f"the cause ({cause}) is not told: {text}")

    # What must be true.

    def _rows_of(self, node):
        return self.cluster.sql(node, _DIGEST)

    def _right(self, node):
        _expect(self.cluster.sql(node, MARKERS) == ROWS, f"rows of {node}")
        if self._digest is not None:
            _expect(self._rows_of(node) == self._digest, f"contents of {node}")
        soundness.balances(self.cluster, node, "testdb")

    def _whole(self):
        # A server that was killed a moment ago is on its way back.
        for node in _NODES:
            wait_until(lambda node=node: self.cluster.sql(
                node, "select 1", check=False).returncode == 0, 60, f"{node} answers", every=0.5)
        self.cluster.caught_up()
        for node in _NODES:
            self._right(node)
        end = self.cluster.status()["supervisor"]["recovery_end"]
        _expect(end["newest_archived_wal"] == self.story.newest_wal, f"recovery ended at {end}")

    def _opened_only_if_right(self):
        """Whoever may write sees all; a replica may be behind, and may not write."""
        for node in _NODES:
            answer = self.cluster.sql(node, "select pg_is_in_recovery()", check=False)
            if answer.returncode != 0:
                continue
            _expect(node == "primary" or answer.stdout.strip() == "t", "the replica was promoted")
            if answer.stdout.strip() == "f":
                self._right(node)

    def _clean(self):
        if self.cluster.root.exists():
            self.cluster.run("cleanup", "--yes", timeout=_MOST_SECONDS)
        _expect(not self.cluster.root.exists(), "cleanup left the cluster's directory")
        left = self.cluster.processes()
        _expect(not left, f"cleanup left {left}")


# A line for each table: what is in it, in an order of its own.
_DIGEST = """
select string_agg(format('%s %s', t.oid::regclass, (xpath('/row/sum/text()', query_to_xml(format(
         'select md5(coalesce(string_agg(md5(t::text), '''' order by md5(t::text)), '''')) as sum '
         'from only %s t', t.oid::regclass), false, true, '')))[1]), ' ' order by t.oid::regclass::text)
  from pg_class t where relkind = 'r' and relpersistence = 'p'
   and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""


def table(outcomes):
    """The whole as text, with what was seen how often."""
    count = {}
    for outcome in outcomes:
        family = count.setdefault(outcome.case.family, {})
        family[outcome.verdict] = family.get(outcome.verdict, 0) + 1
    lines = [str(outcome) for outcome in outcomes]
    lines += [f"{family}: " + ", ".join(f"{many} {verdict}" for verdict, many in verdicts.items())
              for family, verdicts in count.items()]
    return "\n".join(lines)
