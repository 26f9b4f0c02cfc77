"""benchmarks/gpu.py measures all its parts, and goes on after one that fails."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import PROJECT


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program as a module."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import gpu

    return gpu


def run(gpu: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--quick", *arguments, "trainer.accelerator=cpu"])
    gpu.main()
    (folder,) = (item.partition("=")[2] for item in arguments if item.startswith("--out="))
    return json.loads((Path(folder) / "gpu.json").read_text())["parts"]


def fail(bench: Any) -> Any:
    raise RuntimeError("CUDA error: an illegal memory access\nCUDA kernel errors might be ...")


def test_goes_on_after_a_part_that_fails(
    gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a new process if the GPU is lost; what the time did not suffice for is done by --resume."""
    calls: list[str] = []

    def count(bench: Any) -> dict[str, int]:
        calls.append("count")
        return {"calls": len(calls)}

    def table(result: dict[str, int]) -> list[str]:
        return [f"called {result['calls']}"]

    parts = {name: gpu.Part(name.title(), count, table) for name in ("first", "last")}
    parts = {"first": parts["first"], "broken": gpu.Part("Broken", fail, table), "last": parts["last"]}
    monkeypatch.setattr(gpu, "PARTS", parts)
    failure = "RuntimeError: CUDA error: an illegal memory access"
    expected = {"first": {"calls": 1}, "broken": {"failed": failure}, "last": {"calls": 2}}
    assert run(gpu, monkeypatch, f"--out={tmp_path}/a") == expected
    text = (tmp_path / "a/gpu.md").read_text()
    assert "## First\n\ncalled 1\n" in text
    assert f"## Broken\n\nNot measured: {failure}\n" in text
    assert "Broken: failed after 0 s" in capsys.readouterr().out

    late = ("--minutes=-1", f"--out={tmp_path}/b")
    assert run(gpu, monkeypatch, *late) == {name: {"skipped": "no time left"} for name in parts}
    again = run(gpu, monkeypatch, f"--out={tmp_path}/b", "--resume")
    assert again == {"first": {"calls": 3}, "broken": {"failed": failure}, "last": {"calls": 4}}

    class Replaced(Exception):  # noqa: N818
        pass

    def replace(program: str, arguments: list[str]) -> None:
        raise Replaced(arguments)

    monkeypatch.setattr(gpu, "_answers", lambda device: False)
    monkeypatch.setattr(os, "execv", replace)
    with pytest.raises(Replaced) as replaced:
        run(gpu, monkeypatch, f"--out={tmp_path}/c")
    assert replaced.value.args[0][-3:-1] == [f"--out={tmp_path}/c", "--resume"]
    assert list(json.loads((tmp_path / "c/gpu.json").read_text())["parts"]) == ["first"]


@pytest.mark.slow  # all parts, with the smallest sizes
def test_all_parts(gpu: Any, tmp_path: Path) -> None:
    program = [sys.executable, str(PROJECT / "benchmarks/gpu.py"), "--quick", "--minutes=20"]
    done = subprocess.run(
        [*program, f"--out={tmp_path}", "trainer.accelerator=cpu", "performance.compile=none"],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert list(parts) == list(gpu.PARTS)
    assert not [name for name, part in parts.items() if "failed" in part or "skipped" in part], done.stderr
    # the default with one column and with two is among the innovations, too
    assert parts["compiled"]["networks"] == 2 * len(gpu.OPTIONS) + len(gpu.INNOVATIONS) - 2
    assert parts["compiled"]["not_compiled"] == 0
    for name in ("steps_1", "steps_2"):
        assert list(parts[name]["batches"]) == ["2", "4"]
        assert sum(parts[name]["profile"]["parts"].values()) == pytest.approx(1)
        for row in parts[name]["batches"].values():
            assert 0 < row["images_per_second"]["least"] <= row["images_per_second"]["most"]
    for name in ("options_1", "options_2", "innovations"):
        assert parts[name]["variants"]["as by default"]["ratio"] == {"median": 1, "least": 1, "most": 1}
        assert not [row for row in parts[name]["variants"].values() if "failed" in row]
    sources = {"one batch on the device", "memory", "raw pack", "jpeg pack", "the device"}
    for name in ("training_1", "training_2"):
        assert set(parts[name]["4"]) == sources
    text = (tmp_path / "gpu.md").read_text()
    for part in gpu.PARTS.values():
        assert f"## {part.title}\n" in text
    assert "Not " not in text
