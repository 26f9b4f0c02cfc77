"""A run on two nodes, whose processes torchrun starts: here both nodes are this machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PROJECT, SMALL
from survival import differences, outcome

TRAIN = str(PROJECT / "src/train.py")


def start(folder: Path, command: tuple[str, ...]) -> "subprocess.Popen[str]":
    cache = {"ALEXNET_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | cache,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_two_nodes_are_two_devices(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Metrics and checkpoints are bit-identical to those of one node with two devices."""
    command = (TRAIN, *SMALL, *synthetic, "logger=csv")
    one = start(tmp_path, (*command, "trainer.devices=2", f"run_folder={tmp_path / 'one'}"))
    output, _ = one.communicate(timeout=600)
    assert one.returncode == 0, output
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ("-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1")
    torchrun += ("--master-addr=127.0.0.1", f"--master-port={port}")
    two = (*command, "trainer.devices=1", "trainer.num_nodes=2", f"run_folder={tmp_path / 'two'}")
    nodes = [start(tmp_path, (*torchrun, f"--node-rank={rank}", *two)) for rank in range(2)]
    outputs = [node.communicate(timeout=600)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    assert outputs[1].count("Folder") == 0  # the first process of the run alone reports
    expected, actual = outcome(tmp_path / "one"), outcome(tmp_path / "two")
    for content in (expected, actual):
        del content["result"]["config_hash"]  # has the number of devices
    assert differences(actual, expected) == []
