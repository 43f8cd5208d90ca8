"""Running a program as a person does."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from rig.process import child_options


LIMIT = 300  # seconds for all of a command
TAIL = 4000  # characters of what was shown, where something failed


def _own_terminal():
    """Of a session of its own, so that what is typed reaches all that runs in the foreground."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def on_a_terminal(command, columns=80, typed="", user=None, env=None, until=None, code=0, then=None):
    """Runs a command on a terminal of that width, where somebody types something as soon as there is
    something to see, and presses Ctrl-C once `until` (a regular expression) is to be seen; returns
    what was to be seen, and takes only that exit code. `then` is called when there is something."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    modes = termios.tcgetattr(theirs)
    modes[3] |= termios.NOFLSH  # Ctrl-C must not throw away what is written and not read yet
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    with subprocess.Popen([os.fspath(word) for word in command], stdin=theirs, stdout=theirs,
                          stderr=theirs, start_new_session=True, preexec_fn=_own_terminal,
                          **child_options(env={"TERM": "xterm", **(env or {})}, user=user)) as child:
        os.close(theirs)
        output = b""
        try:
            end = time.monotonic() + LIMIT
            while True:
                if not select.select([ours], [], [], max(0, end - time.monotonic()))[0]:
                    os.killpg(child.pid, signal.SIGKILL)
                    raise AssertionError(f"not over after {LIMIT} s:\n{output.decode(errors='replace')[-TAIL:]}")
                if not (block := os.read(ours, 65536)):
                    break
                output += block
                if then:
                    then()
                    then = None
                if typed:
                    os.write(ours, typed.encode())
                    typed = ""
                if until and re.search(until, output.decode(errors="replace")):
                    until = None
                    os.write(ours, b"\x03")
        except OSError:  # EIO: nobody has the other end open any more
            pass
        os.close(ours)
        ended = child.wait(60)
    text = output.decode().replace("^C", "")  # the terminal's own word for the key
    assert ended == code, f"ended with {ended}, having shown:\n{text[-TAIL:]}"
    return text.replace("\r\n", "\n")


def screens(text, columns=80, rows=40):
    """What stood on the screen each time that it was drawn anew: a list of its lines. Knows the codes
    that redrawing needs, and refuses all others."""
    grid, row, column, shown = [""] * rows, 0, 0, []
    for code, letter in re.findall(r"(\x1b\[[?0-9]*[a-zA-Z])|([^\x1b])", text):
        if code in ("\x1b[?25l", "\x1b[?25h"):  # the cursor
            continue
        if code == "\x1b[2J":
            grid = [""] * rows
        elif code == "\x1b[H":
            row = column = 0
        elif code == "\x1b[K":
            grid[row] = grid[row][:column]
        elif code == "\x1b[J":
            grid[row:] = [grid[row][:column]] + [""] * (rows - row - 1)
            shown.append([line.rstrip() for line in grid])
        elif code:
            raise AssertionError(f"unknown code {code!r}")
        elif letter == "\r":
            column = 0
        elif letter == "\n":
            row, column = row + 1, 0
            assert row < rows, "it scrolls"
        else:
            grid[row] = grid[row][:column].ljust(column) + letter + grid[row][column + 1:]
            column += 1
            assert column <= columns, f"wider than {columns}: {grid[row]}"
    return shown
