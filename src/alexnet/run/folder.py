"""The folder of one run, and what every run writes into it."""

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from alexnet.data.unreadable import write_reasons
from alexnet.errors import UserError
from alexnet.run.resume import LOCK
from alexnet.run.settings import config_hash

RESERVE = ".reserve"


RESERVE_BYTES = 1 << 18  # kept free for result.json, should the disk be full


class RunFolder:
    """`<outputs>/runs/<date>_<time>_<hash>/`, or the folder that was asked for. Never shared."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.figures = path / "figures"
        self.checkpoints = path / "checkpoints"
        self._columns: list[str] = []
        self._lock = FileLock(path / LOCK)

    @classmethod
    def create(cls, outputs: str, config: dict[str, Any], wanted: str | None = None) -> "RunFolder":
        """Make a new folder. Raises `UserError` where the wanted one exists or cannot be made."""
        stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{config_hash(config)}"
        path = Path(wanted or Path(outputs) / "runs" / stamp).expanduser().absolute()
        name, count = path.name, 1
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
                break
            except FileExistsError:
                if wanted:
                    raise UserError(f"run_folder={wanted}: exists already. Give another one.") from None
                count += 1
                path = path.with_name(f"{name}-{count}")
            except OSError as error:
                raise UserError(f"Cannot make the run folder {path}: {error.strerror}.") from error
        return cls(path)._ready()

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """The folder of a run that goes on. Raises `UserError` while another process trains it."""
        folder = cls(path)._ready()
        for left in (*path.glob(".*.partial"), *folder.checkpoints.glob(".*.partial")):
            left.unlink()
        (path / "result.json").unlink(missing_ok=True)  # of a run that has no result any more
        return folder

    def _ready(self) -> "RunFolder":
        try:
            self._lock.acquire(timeout=0)
            self.figures.mkdir(exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            with (self.path / RESERVE).open("wb") as file:
                file.write(b"\0" * RESERVE_BYTES)
        except Timeout:
            raise UserError(f"{self.path}: another process is training this run. Wait for it.") from None
        except OSError as error:
            raise UserError(f"Cannot write to the run folder {self.path}: {error.strerror}.") from error
        return self

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out, until the run has ended."""
        try:
            yield
        finally:
            self._lock.release()

    def read_overrides(self) -> list[str]:
        """What was typed before; empty for a run that was stopped before it could write it down."""
        try:
            return list(yaml.safe_load((self.path / "overrides.yaml").read_text()))
        except (OSError, yaml.YAMLError, TypeError):
            return []

    def use_reserve(self) -> None:
        """Free the space that was kept for the last files."""
        (self.path / RESERVE).unlink(missing_ok=True)

    def write_yaml(self, name: str, content: Any) -> None:
        """Write a YAML file, whole or not at all."""
        self._write(name, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file, whole or not at all. What is no finite number becomes null."""
        self._write(name, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.csv anew, whole or not at all; without rows there is none."""
        self._columns = list(rows[0]) if rows else []
        if not rows:
            (self.path / "metrics.csv").unlink(missing_ok=True)
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows({column: _shown(row.get(column)) for column in self._columns} for row in rows)
        self._write("metrics.csv", text.getvalue())

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add one epoch to metrics.csv. The first row decides the columns."""
        path = self.path / "metrics.csv"
        self._columns = self._columns or list(row)
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if new:
                writer.writeheader()
            writer.writerow({column: _shown(row.get(column)) for column in self._columns})

    def write_excluded(self, excluded: dict[str, str]) -> None:
        """Write excluded_files.csv: each file that was set aside, and why."""
        write_reasons(self.path / "excluded_files.csv", excluded)

    def _write(self, name: str, text: str) -> None:
        aside = self.path / f".{name}.partial"
        with aside.open("w", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path / name)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
