"""Run src/benchmark.py for a network of one column and for one of two, at the paper's batch size.

    python benchmarks/step.py [key=value ...]

All keys are those of src/benchmark.py, less model.columns; scaling is not measured unless sizes are given.
"""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[1] / "src" / "benchmark.py"
SETTINGS = ("data.batch_size=128", "scaling.batch_sizes=[]", "scaling.data_sizes=[]")


def main() -> None:
    for columns in (1, 2):
        given = (*SETTINGS, *sys.argv[1:], f"model.columns={columns}")
        status = subprocess.run([sys.executable, PROGRAM, *given], check=False).returncode
        if status:
            sys.exit(status)


if __name__ == "__main__":
    main()
