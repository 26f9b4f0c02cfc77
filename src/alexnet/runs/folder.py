"""The folder of a run, and the files that every run writes to it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from alexnet.config.hashing import config_hash
from alexnet.errors import UserError
from alexnet.files import parse_yaml, reasons_csv, remove_leftovers, write_csv, write_json, write_text
from alexnet.paths import absolute
from alexnet.runs.resume import LOCK

RESERVE = ".reserve"
RESERVE_BYTES = 1 << 18  # for result.json, in case the disk is full


class RunFolder:
    """The folder of one run, `<outputs>/runs/<date>_<time>_<hash>/` or the configured one. Never shared."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.figures = path / "figures"
        self.checkpoints = path / "checkpoints"
        self._lock = FileLock(path / LOCK)

    @classmethod
    def create(cls, outputs: str, config: dict[str, Any], wanted: str | None = None) -> "RunFolder":
        """Create a new folder. Raises `UserError` if the `wanted` one exists, or it cannot be created."""
        stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{config_hash(config)}"
        path = absolute(wanted or Path(outputs) / "runs" / stamp)
        name, count = path.name, 1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    if wanted:
                        raise UserError(f"run_folder={wanted} already exists. Choose another one.") from None
                    count += 1
                    path = path.with_name(f"{name}-{count}")
        except OSError as error:
            raise UserError(f"Cannot create the run folder {path}: {error.strerror}.") from error
        folder = cls(path)
        try:
            return folder._prepare()
        except UserError:
            folder._remove()
            raise

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """Open the folder of a run to resume. Raises `UserError` while another process trains it."""
        folder = cls(path)._prepare()
        for subfolder in (path, folder.checkpoints, folder.figures):
            remove_leftovers(subfolder)
        (path / "result.json").unlink(missing_ok=True)  # it would be that of the earlier start
        return folder

    def _prepare(self) -> "RunFolder":
        try:
            self._lock.acquire(timeout=0)
            self.figures.mkdir(exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            with (self.path / RESERVE).open("wb") as file:
                file.write(b"\0" * RESERVE_BYTES)
        except Timeout:
            raise UserError(f"{self.path}: another process is training this run. Wait for it.") from None
        except OSError as error:
            self.use_reserve()
            self._lock.release()
            raise UserError(f"Cannot write to the run folder {self.path}: {error.strerror}.") from error
        return self

    def _remove(self) -> None:
        """Remove a new folder that is not writable, so that no empty run is left."""
        with suppress(OSError):
            for subfolder in (self.figures, self.checkpoints):
                subfolder.rmdir()
            (self.path / LOCK).unlink(missing_ok=True)
            self.path.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Release the folder to other processes when the run has ended."""
        try:
            yield
        finally:
            self._lock.release()

    def read_overrides(self) -> list[str]:
        """Return the overrides of earlier starts; an empty list if the file is missing or damaged."""
        try:
            return list(parse_yaml((self.path / "overrides.yaml").read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError, TypeError):
            return []

    def use_reserve(self) -> None:
        """Free the space reserved for the last files."""
        with suppress(OSError):
            (self.path / RESERVE).unlink()

    def write_yaml(self, name: str, content: Any) -> None:
        """Write a YAML file atomically."""
        write_text(self.path / name, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file atomically. Non-finite numbers become null."""
        write_json(self.path / name, content)

    def write_environment(self, content: dict[str, Any], *, resumed: bool = False) -> None:
        """Write environment.json, or environment.resumed-<n>.json beside those of earlier starts."""
        earlier = len(list(self.path.glob("environment*.json"))) if resumed else 0
        self.write_json(f"environment.resumed-{earlier}.json" if earlier else "environment.json", content)

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.csv atomically, a row per epoch. Without rows, remove it."""
        write_csv(self.path / "metrics.csv", rows)

    def write_layers(self, rows: list[dict[str, Any]]) -> None:
        """Write layers.csv in the same way, with a row per epoch and layer."""
        write_csv(self.path / "layers.csv", rows)

    def write_excluded(self, excluded: dict[str, str]) -> None:
        """Write excluded_files.csv: the files that were set aside, and why."""
        write_text(self.path / "excluded_files.csv", reasons_csv(excluded))
