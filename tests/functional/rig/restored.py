"""What `restore` alone makes, as a server: without any cluster or supervisor."""

import contextlib

from rig import soundness
from rig.postgres import Server, trusting_hba
from rig.process import wait_until


@contextlib.contextmanager
def recovered(data, place, *, database="testdb", balanced=True, bin=None, **settings):
    """A server on that directory that has recovered and was promoted; its socket and log are in `place`,
    and `bin` are its programs where they are not Debian's. At the end it is proven to be sound, as
    rig/soundness.py has it, and stopped. A setting of None is left to what `restore` wrote."""
    settings = {"archive_mode": "off", "hba_file": trusting_hba(place), **settings}
    server = Server(data, sockets=place, log=place / f"{data.name}.log", bin=bin)
    try:
        server.start(**{name: value for name, value in settings.items() if value is not None})
        wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", 60,
                   f"recovery ends; see {server.log}")
        yield server
        soundness.prove_server(server, database, balanced)
    finally:
        server.stop()


def ancestors(server):
    """The timelines that its own comes from, oldest first."""
    timeline = int(server.sql("select timeline_id from pg_control_checkpoint()"))
    text = (server.data / "pg_wal" / f"{timeline:08X}.history").read_text()
    return [int(line.split("\t")[0]) for line in text.splitlines() if line.strip()]
