"""A cluster under load, something of it killed again and again: rig/soak.py.

A minute of it here; `scripts/soak.sh` goes on for as long as is wanted. PGREVIVE_SOAK_SECONDS, _SEED,
_PAUSE (least and most seconds between two kills) and _REPORT (a file) are how it says so.
"""

import os

from rig.cluster import Cluster
from rig.soak import Soak

SECONDS = float(os.environ.get("PGREVIVE_SOAK_SECONDS", "40"))
SEED = os.environ.get("PGREVIVE_SOAK_SEED", "1")
REPORT = os.environ.get("PGREVIVE_SOAK_REPORT")
PAUSE = tuple(map(float, os.environ.get("PGREVIVE_SOAK_PAUSE", "1 3").split()))


def test_no_acknowledged_commit_is_lost(pgrevive, space, story):
    cluster = Cluster(pgrevive, space.directory("h"), {
        **story.values(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="soaked")
    try:
        cluster.start()
        soak = Soak(cluster, SEED, REPORT)
        soak.run(SECONDS, PAUSE)
        acknowledged = sum(len(writer.acknowledged) for writer in soak.writers)
        assert acknowledged > 100 and len(soak.killed) >= 3
        assert all(crowd.transactions > 100 for crowd in soak.crowds)
        assert cluster.sql("replica", "select count(*) > 100 from pgbench_history") == "t"
        assert soak.lag.seen
        assert cluster.sql("primary", "select timeline_id from pg_control_checkpoint()") == "2"
    finally:
        cluster.gone()
