"""Processes of a run that do not find each other: told, ended, and stopped by one signal."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alexnet.distributed import rendezvous
from alexnet.parent import STARTER
from conftest import PROJECT, SMALL, Finished, Train, wait_for

ALONE = ("trainer.num_nodes=2", "trainer.accelerator=cpu", "logger=csv")  # the other node never comes
HERE = {"MASTER_ADDR": "127.0.0.1"}


def result(done: Finished) -> dict[str, object]:
    (folder,) = (done.outputs / "runs").iterdir()
    return json.loads((folder / "result.json").read_text())


def test_a_node_that_does_not_come(train: Train, synthetic: tuple[str, ...]) -> None:
    command = (*SMALL, *synthetic, *ALONE, "trainer.rendezvous_timeout=1")
    done = train(*command, environment=HERE)
    assert done.status == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error:")]
    assert "The 2 processes of the run have not all connected to 127.0.0.1:" in line
    assert "within 0:01 (trainer.rendezvous_timeout). To resume: " in line
    assert result(done)["status"] == "failed"


def test_waiting_is_told_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every 30 seconds, of a clock that goes on by one at each look, and stands still at 100."""
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return min(looks, 100)

    monkeypatch.delenv(STARTER, raising=False)
    monkeypatch.setattr(rendezvous, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(rendezvous, "POLL_SECONDS", 0.001)
    address = SimpleNamespace(main_address="127.0.0.1", main_port=1234)
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(cluster_environment=address))
    with (
        caplog.at_level(logging.INFO),
        rendezvous.Rendezvous(4, 600, lambda number: "").watching(trainer),
    ):
        wait_for(lambda: looks > 110)
    assert caplog.messages == [
        f"Waiting   for 4 processes at 127.0.0.1:1234: {waited} of at most 10:00"
        for waited in ("0:31", "1:02", "1:33")
    ]


def test_a_host_without_an_address(train: Train, synthetic: tuple[str, ...]) -> None:
    done = train(*SMALL, *synthetic, *ALONE, environment={"MASTER_ADDR": "nowhere.invalid"})
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith("Error: nowhere.invalid, the host of the first process, cannot be resolved (")
    assert result(done)["status"] == "failed"


@pytest.mark.slow  # the other process loads torch
def test_a_port_that_is_taken(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as server:
        environment = HERE | {"MASTER_PORT": str(server.getsockname()[1])}
        done = train(*SMALL, *synthetic, "trainer.devices=2", *ALONE[1:], environment=environment)
    assert done.status == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error:")]
    assert f"cannot meet at 127.0.0.1:{environment['MASTER_PORT']} (MASTER_ADDR, MASTER_PORT):" in line
    assert "address already in use" in line
    deadline = time.monotonic() + 30
    while started := [path for path in Path("/proc").glob("[0-9]*") if _is_of(path, tmp_path)]:
        assert time.monotonic() < deadline, f"left running: {started}"
        time.sleep(0.5)


def _is_of(process: Path, folder: Path) -> bool:
    try:
        return str(folder).encode() in (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return False


@pytest.mark.slow  # a process that loads torch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_while_waiting(synthetic: tuple[str, ...], tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "src/train.py"), *SMALL, *synthetic, *ALONE, f"run_folder={folder}"],
        cwd=tmp_path,
        env=os.environ | {"ALEXNET_CACHE": str(tmp_path / "cache")} | HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # pytest may ignore it
    )
    assert process.stdout is not None
    assert any(line.startswith("Folder") for line in process.stdout)
    time.sleep(2)  # torch waits
    process.send_signal(number)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 1
    assert f"Interrupted: stopped by {number.name}. To resume: " in errors
    assert json.loads((folder / "result.json").read_text())["status"] == "interrupted"
