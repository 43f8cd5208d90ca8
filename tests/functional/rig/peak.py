"""Runs a command and writes into a file how much memory it had at most, in bytes:

    python3 rig/peak.py FILE COMMAND...
"""

import resource
import subprocess
import sys

if __name__ == "__main__":
    done = subprocess.run(sys.argv[2:])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(str(peak))
    sys.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)
