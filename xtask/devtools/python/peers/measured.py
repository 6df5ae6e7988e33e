"""Runs a program, and prints as JSON what it took from start to end and what it said.

    python measured.py PROGRAM ARGUMENT…

`peak_bytes` is the most memory that the program, or one that it started, had at once. A program that fails is said so in
`code`; nothing is measured of what it printed to standard error, which goes on to ours.
"""

import json
import resource
import subprocess
import sys
import time


def main():
    started = time.perf_counter()
    ran = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "code": ran.returncode, "said": ran.stdout}))


if __name__ == "__main__":
    main()
