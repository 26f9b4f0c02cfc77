"""Stands for train.py where the launcher is tested: fake_run.py <folder> <config hash> <behaviour>.

Writes what the launcher reads of a run. Behaviours: ok, fail (says why), diverge, silent (fails
saying nothing), unfinished (writes no result), hang (until it is interrupted), deaf (not even then),
family (hangs, as does its child), and accompanied (ends once another has started, or after a minute).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SWEEP = ("ALEXNET_LAUNCHER_PID", "ALEXNET_SWEEP_JOBS")
HEADER = "epoch,step,val/top1_error,seconds,peak_memory_mb\n"


def main(folder: Path, config_hash: str, behaviour: str) -> None:
    journal = folder.parent / "journal"
    with journal.open("a") as file:
        file.write(f"start {folder.name} {os.getpid()}\n")
    folder.mkdir()  # fails where it exists, as a run does
    seen = {key: os.environ.get(key) for key in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", *SWEEP)}
    (folder / "seen.json").write_text(json.dumps(seen | {"began": time.time(), "group": os.getpgid(0)}))
    (folder / "metrics.csv").write_text(HEADER + "1,10,40.5,0.1,400\n")
    if behaviour == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if behaviour == "family":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / "child").write_text(str(child.pid))
    result = {"status": "completed", "error": None, "config_hash": config_hash, "val": {"top1_error": 40.5}}
    try:
        time.sleep(600 if behaviour in ("hang", "deaf", "family") else 0.5)
        deadline = time.time() + (60 if behaviour == "accompanied" else 0)
        while time.time() < deadline and journal.read_text().count("start ") < 2:
            time.sleep(0.05)
    except KeyboardInterrupt:
        result |= {"status": "interrupted", "error": "stopped by the user"}
        (folder / "result.json").write_text(json.dumps(result))
        sys.exit("Stopped.")
    if behaviour == "fail":
        sys.exit("Error: the weights are gone.")
    if behaviour == "diverge":
        result |= {"status": "failed", "diverged": True, "error": "The training loss is no longer finite."}
        (folder / "result.json").write_text(json.dumps(result))
        sys.exit(f"Error: {result['error']}")
    if behaviour == "silent":
        sys.exit(3)
    if behaviour != "unfinished":
        (folder / "result.json").write_text(json.dumps(result))
    with journal.open("a") as file:
        file.write(f"end {folder.name} {time.time()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
