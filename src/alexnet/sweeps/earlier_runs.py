"""Runs of earlier studies, which another study takes over where their configuration is its own."""

import os
import shutil
from pathlib import Path

from alexnet.errors import UserError
from alexnet.sweeps.job import read_result


class EarlierRuns:
    """The completed runs below the folder `study.reuse`; none where that is None.

    Raises `UserError` where there are none in it.
    """

    def __init__(self, reuse: str | None) -> None:
        self.folder = None if reuse is None else Path(reuse).expanduser().absolute()
        self._by_hash: dict[str, Path] = {}
        if self.folder is None:
            return
        results = sorted(self.folder.rglob("result.json"), key=lambda path: (path.stat().st_mtime, path))
        for run in (path.parent for path in results):  # of equal runs, the newest
            result = read_result(run)
            if result.get("status") == "completed" and "config_hash" in result:
                self._by_hash[result["config_hash"]] = run
        if not self._by_hash:
            raise UserError(f"study.reuse={reuse}: there are no completed runs in it.")

    def copy(self, config_hash: str, folder: Path) -> bool:
        """Copy the run of this configuration to `folder`, which must not exist; return whether there is one.

        Checkpoints take no space where both folders are on one disk: they are links to the same files.
        Raises `UserError` where it cannot be copied.
        """
        source = self._by_hash.get(config_hash)
        if source is None or folder.exists():
            return False
        aside = folder.with_name(f".{folder.name}.copying")  # no run while it is not whole
        try:
            shutil.rmtree(aside, ignore_errors=True)  # of a copy that was interrupted
            shutil.copytree(source, aside, copy_function=_link_or_copy)
            aside.rename(folder)
        except (OSError, shutil.Error) as error:
            raise UserError(f"Cannot copy {source} to {folder}: {error}") from error
        return True


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(".ckpt"):  # never changed: a run replaces its checkpoints
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copy2(source, target)
