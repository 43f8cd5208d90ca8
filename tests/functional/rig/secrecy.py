"""What a cluster keeps secret, and where it can be seen: in the words and environments of its processes,
and in files that more than their owner may read.

    secrets = secrecy.of(cluster)
    processes = secrecy.look(cluster)      # as often as wanted
    assert secrecy.told(secrets, *(process.words for process in processes)) == []
    assert secrecy.kept(cluster, secrets) == (set(secrets), [])
"""

import contextlib
import dataclasses
import os
import pathlib
import stat

from rig.layers import spellings

_OURS = ("PASSWORD", "SECRET_KEY", "SESSION_TOKEN", "CIPHER_PASS")  # that names of settings end with


def of(cluster):
    """Name to spellings of each secret: those of its .env, and those that it has made by itself."""
    found = {name: str(value) for name, value in cluster.values.items()
             if value and name.endswith(_OURS)}
    place = cluster.root / "secrets"
    found["password of replication"] = (place / "replication.pgpass").read_text().strip(
        ).rpartition(":")[2]
    if (place / "console.token").exists():
        found["token of the console"] = (place / "console.token").read_text().strip()
    for key in [*place.glob("*.key"), *cluster.root.glob("*/conf/*.key")]:
        # What its type is and where it lies would be found in others' keys, too.
        found[str(key.relative_to(cluster.root))] = key.read_text().splitlines()[-2]
    return {name: spellings(value) for name, value in found.items()}


def told(secrets, *texts):
    """The names of those that stand in one of the texts, which are bytes."""
    return sorted(name for name, spelled in secrets.items()
                  if any(word in text for text in texts for word in spelled))


@dataclasses.dataclass(frozen=True)
class Process:
    words: bytes
    environment: bytes


def look(cluster, *also):
    """The processes of a cluster, and of those with the ids `also`, with all that they have started. Of
    one whose environment nobody may see it is empty."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(entry.name)] = (parent, (entry / "cmdline").read_bytes())
    own = os.fsencode(cluster.root) + b"/"
    belongs = {pid for pid, (_, words) in found.items() if own in words or pid in also}
    while more := {pid for pid, (parent, _) in found.items() if parent in belongs} - belongs:
        belongs |= more
    return {Process(found[pid][1], _environment(pid)) for pid in belongs}


def _environment(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def kept(cluster, secrets):
    """The names of those that any file below the cluster's root holds, outside of the nodes' data; and
    (path, name) where more than the file's owner may read it, in there too."""
    names, exposed = set(), []
    data = {path for path in cluster.root.glob("*/data")}
    for path in cluster.root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a segment that has got its name just now
            mode = path.lstat().st_mode
            public = stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO)
            if not stat.S_ISREG(mode) or not (public or data.isdisjoint(path.parents)):
                continue
            here = told(secrets, path.read_bytes())
            names.update(here)
            if public:
                exposed += [(path, name) for name in here]
    return names, exposed
