"""Debian's chromium, driven by playwright-core: what a person sees of a page."""

import fcntl
import json
import re
import shutil
import subprocess
import threading

from rig.program import ROOT

_WANTED = ROOT / "tests" / "browser"
_PLACE = ROOT / "build" / "browser-tests"


def install():
    """The packages of tests/browser, from npm, into build/; what is there already is left alone."""
    lock = _WANTED / "package-lock.json"
    stamp = _PLACE / "installed"  # a copy of the lock file, written last
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    _PLACE.mkdir(parents=True, exist_ok=True)
    with open(_PLACE / "lock", "w", encoding="utf-8") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # tests run side by side
        _install(lock, stamp)


def _install(lock, stamp):
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(_WANTED / name, _PLACE)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                    "--fetch-retries=5"], cwd=_PLACE, check=True, capture_output=True, timeout=600)
    shutil.copy(lock, stamp)


def look(url, **told):
    """What tests/browser/look.mjs saw."""
    return finish(begin(url, **told))


def begin(url, **told):
    words = json.dumps({"url": url, **{name: value for name, value in told.items()
                                       if value is not None}}, default=str)
    return subprocess.Popen(["node", _WANTED / "look.mjs", _PLACE, words],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def told(process, word, limit=300):
    """Waits for what look.mjs says on standard error; one that does not say it in time is ended."""
    timer = threading.Timer(limit, process.kill)
    timer.start()
    said = []
    try:
        for line in process.stderr:
            if line == word + "\n":
                return
            said.append(line)
    finally:
        timer.cancel()
    raise AssertionError(f"the browser did not say '{word}' in {limit} s: {''.join(said)}")


def go_on(process):
    """To one that waits to be told so."""
    process.stdin.write("go on\n")
    process.stdin.flush()


def end(process):
    """Its browser ends with it."""
    process.kill()
    process.wait()


def finish(process):
    try:
        out, err = process.communicate(timeout=300)
    finally:
        end(process)
    assert process.returncode == 0, err
    return json.loads(out)


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "s": 1, "min": 60, "h": 3600}


def amount(text):
    """What "1.2 kB" or "3 min 05 s" is in bytes or seconds."""
    return sum(float(number.replace(",", "")) * _UNITS[unit]
               for number, unit in re.findall(r"([\d.,]+) (\w+)", text))
