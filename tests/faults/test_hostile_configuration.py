"""Command lines, and config.yaml files of runs, that try to build objects or run code."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alexnet.errors import UserError
from alexnet.runs.resume import read_run_config
from conftest import SMALL
from entry_point import refused, run_train

# makes an object of any class, in pieces that no search for _target_ finds
BUILD = "${oc.decode:'{_tar${oc.select:none,get}_: shutil.copyfile, src: victim, dst: marker}'}"
CALL = "{_target_: os.system, command: touch marker}"
HANDLER = "{class: subprocess.Popen, args: [touch, marker]}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim").touch()


@pytest.mark.parametrize(
    "arguments",
    [
        ["+model._target_=os.system"],
        ["hydra.launcher._target_=os.system", "-m"],
        [f"+x={CALL}"],
        [f"+model={CALL}"],
        [f"hydra.callbacks={{x: {CALL}}}"],
        [f"+hydra.callbacks.x={BUILD}"],
        [f"++hydra.callbacks={{x: {BUILD}}}"],
        [f"hydra={{callbacks: {{x: {BUILD}}}}}"],
        ["+model@hydra.callbacks=alexnet"],
        ["hydra/job_logging=default", f"+hydra.job_logging.handlers.x={HANDLER}"],
        [f"+hydra.hydra_logging.handlers.x={HANDLER}"],
        ["hydra.searchpath=[file://elsewhere]", "+hydra/callbacks=evil"],
        ["--config-dir=elsewhere", "+hydra/callbacks=evil"],
        ["--config-dir", "elsewhere", "+hydra/callbacks=evil"],
        ["-cd", "elsewhere", "+hydra/callbacks=evil"],
        ["--config-path=elsewhere"],
        ["-cp", "elsewhere"],
        ["--experimental-rerun", "config.pickle"],
        ["--experimental-r=config.pickle"],
    ],
    ids=" ".join,
)
def test_nothing_is_built_from_the_command_line(arguments: list[str]) -> None:
    evil = Path("elsewhere/hydra/callbacks/evil.yaml")
    evil.parent.mkdir(parents=True)
    evil.write_text(
        '# @package hydra.callbacks\nx: {"\\x5ftarget_": shutil.copyfile, src: victim, dst: marker}\n'
    )
    assert "not allowed" in refused(*arguments, "resume=nowhere")
    assert not Path("marker").exists()


def test_another_folder_of_configuration() -> None:
    """One that builds nothing is as good as ever."""
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/tiny.yaml").write_text("defaults: [alexnet, _self_]\nwidth: 7\n")
    done = run_train("--config-dir=mine", "--cfg", "job", "model=tiny")
    assert (done.status, done.err) == (0, "")
    assert "width: 7.0" in done.out


@pytest.fixture(scope="module")
def saved(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The config.yaml of a run."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    fast = ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "trainer.max_epochs=1")
    assert run_train(*SMALL, *synthetic, *fast, "logger=csv", f"run_folder={folder}").status == 0
    return yaml.safe_load((folder / "config.yaml").read_text())


def changed(saved: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    *parents, name = key.split(".")
    content = node = yaml.safe_load(yaml.safe_dump(saved))
    for parent in parents:
        node = node[parent]
    if value is None:
        del node[name]
    else:
        node[name] = value
    return content


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("model._target_", "os.system", "model._target_: there is no such key."),
        ("x", {"_target_": "os.system", "command": "touch marker"}, "x: there is no such key."),
        ("model.lnr", True, "model.lnr: there is no such key. Did you mean lrn?"),
        ("model.lrn", "perhaps", "model.lrn"),
        ("model", 5, "ModelConfig"),
        ("seed", {"a": 1}, "seed"),
        ("seed", [1], "seed"),
        ("seed", None, "seed"),
        ("model", None, "model.family"),
        ("extensions", "os", "extensions=os is not a list of modules."),
        ("extensions", [["os"]], "extensions=[['os']] is not a list of modules."),
        (
            "extensions",
            ["antigravity"],
            "run was trained with extensions=[antigravity], which is not imported",
        ),
        ("loss", {"name": "os.system"}, "loss.name=os.system: there is no such loss."),
        ("optimizer.rule", ["paper"], "optimizer.rule=['paper']: there is no such update rule."),
        ("trainer.max_epochs", None, "trainer.max_epochs is not a number."),
        ("trainer.max_epochs", "many", "trainer.max_epochs is not a number."),
        ("data.root", "${oc.env:HOME}", "data.root=${oc.env:HOME}: there is no such folder."),
        ("data.root", "${nothing}", "data.root=${nothing}: there is no such folder."),
    ],
)
def test_config_of_a_run(saved: dict[str, Any], key: str, value: Any, expected: str) -> None:
    Path("run").mkdir()
    Path("run/config.yaml").write_text(yaml.safe_dump(changed(saved, key, value)))
    assert expected in refused("resume=run")
    assert [path.name for path in Path("run").iterdir()] == ["config.yaml"]
    assert not Path("marker").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"[1, 2]",
        b"a: \0",
        b"\x80\xff\xfe\x01" * 99,
        b"seed: 2024-01-01",
        b'x: !!python/object/apply:os.system ["touch marker"]',
        b"x: !!python/name:os.system",
        b"a: &a\n  b: *a\n",
        b"a: &a [1, 1]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (n, n, n - 1, n - 1) for n in range(98, 123)),
        b"[" * 400,
        b"seed: 0\nseed: [",
    ],
)
def test_damaged_config_of_a_run(content: bytes) -> None:
    Path("run").mkdir()
    Path("run/config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"^run/config.yaml is damaged\.$"):
        read_run_config(Path("run"))
    assert not Path("marker").exists()
