"""Running a program as a person does."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

from rig.process import child_options


def on_a_terminal(command, columns=80, typed="", user=None, env=None):
    """Runs a command on a terminal of that width, where somebody types something as soon as there is
    something to see; returns what was to be seen, and takes only success."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen([os.fspath(word) for word in command], stdin=theirs, stdout=theirs,
                          stderr=theirs, start_new_session=True,
                          **child_options(env={"TERM": "xterm", **(env or {})}, user=user)) as child:
        os.close(theirs)
        output = b""
        try:
            while block := os.read(ours, 65536):
                output += block
                if typed:
                    os.write(ours, typed.encode())
                    typed = ""
        except OSError:  # EIO: nobody has the other end open any more
            pass
        os.close(ours)
        code = child.wait(60)
    text = output.decode()
    assert code == 0, text
    return text.replace("\r\n", "\n")
