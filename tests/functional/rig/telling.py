"""What a run says while it goes on: a run that is cut off ends without its summary."""

import os
import time

import pytest

# Of a test that takes longer, set-up included, the time is told; what takes longer is worth a look.
LONG = 60  # s

# Of why a test failed; the summary has the whole.
LINES = 15
# And in a line of the last ones.
WIDTH = 150

# Why a test is skipped for which there was no time left.
NOT_BEGUN = "not begun: the time that --within gives was over"


class Telling:
    """A plug-in of the run that reports: what failed at once and why, each long test with
    its time, where the time went by file, and in the very last lines what failed."""

    def __init__(self, config):
        self._terminal = config.pluginmanager.getplugin("terminalreporter")
        self._began = time.monotonic()
        self._of_test = {}
        self._not_begun = 0
        self._failed = []

    def _at(self):
        return f"[{time.monotonic() - self._began:5.0f} s]"

    def pytest_runtest_logreport(self, report):
        took = self._of_test.get(report.nodeid, 0) + report.duration
        self._of_test[report.nodeid] = took
        if report.skipped and NOT_BEGUN in str(report.longrepr):
            self._not_begun += 1
        if report.failed:
            self._terminal.ensure_newline()
            self._terminal.write_line(f"{self._at()} {report.nodeid}: failed in its {report.when}, "
                                      f"after {took:.0f} s")
            crash = getattr(report.longrepr, "reprcrash", None)
            why = crash.message if crash else report.longreprtext
            [first] = why.strip().splitlines()[:1] or [""]
            self._failed.append(f"{report.nodeid} ({report.when}): {first[:WIDTH]}")
            self._terminal.write_line("\n".join(why.splitlines()[:LINES]))
        elif report.when == "teardown" and took >= LONG:
            self._terminal.ensure_newline()
            self._terminal.write_line(f"{self._at()} {report.nodeid}: {took:.0f} s")

    def pytest_terminal_summary(self):
        of_file = {}
        for test, took in self._of_test.items():
            name = os.path.basename(test.split("::")[0])
            of_file[name] = of_file.get(name, 0) + took
        self._terminal.write_line("seconds by file: " + ", ".join(
            f"{name.removeprefix('test_').removesuffix('.py')} {took:.0f}"
            for name, took in sorted(of_file.items(), key=lambda item: -item[1]) if took >= 1))
        if self._not_begun:
            self._terminal.write_line(
                f"NOT ALL WAS TESTED: {self._not_begun} tests were {NOT_BEGUN}", red=True)

    # Behind all that pytest says: whoever sees the end of the output alone sees what failed.
    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self):
        yield
        for failed in self._failed:
            self._terminal.write_line("FAILED " + failed, red=True)
