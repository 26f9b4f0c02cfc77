"""Supervisor of one job of a sweep, which ends with its launcher: supervisor.py <command> ...

It leads the process group of the job and of whatever the job starts. Its standard input is a pipe from the
launcher that nobody writes to. When the launcher has ended, for whatever reason, the pipe closes, and the
whole group is killed. (Linux's PR_SET_PDEATHSIG would reach the job, but not DDP's other ranks, which are the
job's children.)
"""

import os
import signal
import subprocess
import sys
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(command: list[str]) -> int:
    """Run the command and return its exit code as a shell reports it: 128 + n for signal n."""
    for number in SIGNALS:  # meant for the job, which is in this group too
        signal.signal(number, signal.SIG_IGN)
    job = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_restore_signals)
    threading.Thread(target=_die_with_launcher, daemon=True).start()
    exit_code = job.wait()
    return exit_code if exit_code >= 0 else 128 - exit_code


def _restore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _die_with_launcher() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
