"""docs/reference/configuration.md: every key, from the schema and the comments of conf/."""

import re
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any

from markup import anchor, code, escape, table
from omegaconf import MISSING, OmegaConf
from schema import Schema, values_of
from yaml_file import Key, YamlFile, read_yaml

from alexnet import config as schemas
from alexnet.config.registry import groups_of, nested_schemas
from alexnet.config.study import StudyConfig
from alexnet.paths import CONF
from hydra_plugins.process_launcher import ProcessLauncherConf

HEAD = """# Configuration

Every key of every program, generated from the schema and the YAML files of `conf/` by `python docs/generate`.

A key is set as `key=value`, a choice of a group as `group=choice`, as in
`python src/train.py model=alexnet_2012 model.lrn=false`. `--help` lists the same keys with their values, and
`--cfg job` prints the composed configuration. Lists are written `[a,b]`, nothing is `null`. A key that is not
in the configuration yet, such as a layer of `optimizer.layer_lr_factor`, takes a `+` before it.

"Range" is what the checks of the schema answer when they are given invalid values; where it is empty, the
type alone limits the key. Sources: "paper" is Krizhevsky, Sutskever and Hinton (2012), "2012 source" the
released program, with its file.
"""

# groups of train.py in the order of the page; those of COMPACT are listed with what their choices set
GROUPS = (
    "model",
    "data",
    "optimizer",
    "scheduler",
    "loss",
    "strategy",
    "trainer",
    "performance",
    "logger",
    "callbacks",
)
COMPACT = {
    "recipe": "Batch size, rate and epochs that suit a data set, chosen with it: `data=synthetic` brings"
    " `recipe=synthetic`.",
    "experiment": "One factor changed, or a complete published recipe. The header of each file has the claim,"
    " the expected effect, the command and its cost.",
    "study": "With `-m`: related experiments, each at its own best rate."
    " See [How effects are measured](../studies.md).",
    "debug": "Does everything work?",
}
PROGRAMS = {
    "evaluate": schemas.EvaluateConfig,
    "predict": schemas.PredictConfig,
    "inspect_run": schemas.InspectConfig,
    "export": schemas.ExportConfig,
    "compare": schemas.CompareConfig,
    "prepare": schemas.PrepareConfig,
    "classical": schemas.ClassicalConfig,
    "benchmark": schemas.BenchmarkConfig,
}
# keys of which a program needs one, for the others' checks to be reached
GIVEN = {"run": "run", "study": "study"}


def configuration_page() -> str:
    """Return the page of all keys."""
    train = read_yaml(CONF / "train.yaml")
    parts = [HEAD, _contents(), "## `train.py`", train.description, _top_level(train, schemas.TrainConfig)]
    for group in GROUPS:
        parts += _group(group)
    for group, text in COMPACT.items():
        parts += [f"## `{group}`", text, *_study_keys(group), _listed(group)]
    parts += [
        "## Sweeps",
        "Keys of `-m`, see [Run sweeps, studies and searches](../how-to/sweeps.md).",
        *_sweeps(),
    ]
    for program, schema in PROGRAMS.items():
        file = read_yaml(CONF / f"{program}.yaml")
        parts += [f"## `{program}.py`", escape(file.description), _top_level(file, schema)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _contents() -> str:
    sections = ["`train.py`", *(f"`{name}`" for name in (*GROUPS, *COMPACT)), "Sweeps"]
    sections += [f"`{program}.py`" for program in PROGRAMS]
    return "Sections: " + ", ".join(f"[{name}](#{anchor(name)})" for name in sections)


def _rows(keys: Iterable[Key], schema: Schema | None, prefix: str) -> list[list[str]]:
    """Return a row for each key: name, type, default, range, meaning."""
    rows = []
    for key in keys:
        found = schema.find(key.name) if schema is not None else None
        kind, limits = "", ""
        if found is not None:
            owner, name = found
            kind, limits = owner.type_of(name), owner.range_of(name)
        rows.append([f"`{prefix}{key.name}`", kind, code(key.value), limits, escape(key.comment)])
    return rows


KEY_COLUMNS = ("key", "type", "default", "range", "meaning, and source")


@cache
def _registries() -> dict[str, Any]:
    return groups_of(schemas.TrainConfig)


def _schema_of(group: str, file: YamlFile) -> Schema:
    registry = _registries().get(group)
    schema, values = values_of(file, registry)
    if schema is None:
        schema = registry.base if registry else nested_schemas(schemas.TrainConfig)[group]
    return Schema(schema, f"{group}.", values)


def _group(group: str) -> list[str]:
    """Return the section of a group: its choices, the keys that each brings, and what presets change."""
    files = [
        read_yaml(path) for path in sorted((CONF / group).glob("*.yaml")) if not path.stem.startswith("_")
    ]
    parts = [f"## `{group}`"]
    if len(files) > 1:
        parts.append(
            table((f"`{group}=`", "what it is"), [[f"`{f.path.stem}`", escape(f.description)] for f in files])
        )
    base = CONF / group / "_base.yaml"
    documented: set[str] = set()
    if base.exists():
        owner = next(file for file in files if "_base" in file.bases)
        keys = read_yaml(base).entries()
        documented |= {key.name for key in keys}
        parts += ["All choices have", table(KEY_COLUMNS, _rows(keys, _schema_of(group, owner), f"{group}."))]
    for file in files:
        keys = [key for key in file.entries() if key != Key("name", file.path.stem, "")]
        if not keys:
            continue
        if file.package is not None or any(not name.startswith("_") for name in file.bases):
            rows = [
                [
                    f"`{'' if file.package == '' else group + '.'}{key.name}`",
                    code(key.value),
                    escape(key.comment),
                ]
                for key in keys
            ]
            on = ", ".join(f"`{name}`" for name in file.bases) or "the default"
            parts += [
                f"`{group}={file.path.stem}` changes of {on}",
                table(("key", "value", "meaning, and source"), rows),
            ]
            continue
        schema = _schema_of(group, file)
        documented |= {key.name for key in keys}
        if len(files) > 1:
            parts.append(f"`{group}={file.path.stem}` sets")
        parts.append(table(KEY_COLUMNS, _rows(keys, schema, f"{group}.")))
    further = _further(group, files, documented)
    return parts + (["Further keys, which no file sets", table(KEY_COLUMNS, further)] if further else [])


def _further(group: str, files: list[YamlFile], documented: set[str]) -> list[list[str]]:
    """Return rows of keys that the schemas of a group have, and no file of it sets."""
    registry = _registries().get(group)
    hidden = {registry.discriminator} if registry else set()
    rows: dict[str, list[str]] = {}
    for file in files:
        if file.package is not None:
            continue
        schema = _schema_of(group, file)
        for name in schema.names():
            found = schema.find(name)
            if name in documented | hidden or found is None or name.partition(".")[0] in documented:
                continue
            owner, own = found
            default = owner.default_of(own)
            if default == MISSING:
                continue
            rows[name] = [
                f"`{group}.{name}`",
                owner.type_of(own),
                code(_plain(default)),
                owner.range_of(own),
                "",
            ]
    return list(rows.values())


def _plain(value: Any) -> str:
    return OmegaConf.to_yaml(OmegaConf.create({"_": value}), resolve=False).removeprefix("_: ").strip()


def _study_keys(group: str) -> list[str]:
    if group != "study":
        return []
    file = read_yaml(CONF / "study/_base.yaml")
    values = file.content["study"] | {
        "factors": ["no_lrn"],
        "name": "",
        "title": "",
    }
    schema = Schema(StudyConfig, "study.", values)
    keys = [key._replace(name=key.name.removeprefix("study.")) for key in file.entries()]
    own = [
        Key("name", "???", "of the study's folder"),
        Key("title", "???", "of its report"),
        Key("factors", "???", "experiments, or what would be typed: ['model.lrn=false']"),
    ]
    return [table(KEY_COLUMNS, _rows([*own, *keys], schema, "study."))]


def _listed(group: str) -> str:
    """Return a table of the choices of a group, with what each sets."""
    rows = []
    for path in sorted((CONF / group).rglob("*.yaml")):
        if path.stem.startswith("_"):
            continue
        file = read_yaml(path)
        named = path.relative_to(CONF / group).with_suffix("").as_posix()
        within = {None: f"{group}.", "": ""}.get(file.package, f"{file.package}.")
        settings = [f"{within}{key.name}={key.value}" for key in file.entries("claim", "name", "title")]
        choices = [choice for choice in file.overrides if not choice.startswith(("/hydra", "hydra"))]
        based = [f"as `{base.partition('@')[0]}`" for base in file.bases if not base.startswith("_")]
        what = re.split(r" (?:Command|Compared with its baseline|Then|Cost):", file.description)[0]
        rows.append([f"`{named}`", escape(what), "<br>".join([*based, *map(code, [*choices, *settings])])])
    return table((f"`{group}=`", "what it is", "sets"), rows)


# of the launcher of every sweep that names no other, which has no file in conf/
PROCESS_LAUNCHER = {
    "jobs": "jobs at a time; null: one for each `trainer.devices` GPUs; on the CPU one for each core (for"
    " `OMP_NUM_THREADS` cores, where that is set), as far as memory allows",
    "grace_seconds": "after Ctrl-C, for a job to write its result",
}


def _sweeps() -> list[str]:
    own = [item for item in fields(ProcessLauncherConf) if item.name != "_target_"]
    rows = [
        [f"`hydra.launcher.{item.name}`", code(_plain(item.default)), PROCESS_LAUNCHER[item.name]]
        for item in own
    ]
    parts = ["`hydra/launcher=process`, the default", table(("key", "default", "meaning"), rows)]
    for path, prefix in (("launcher/slurm", "hydra.launcher."), ("sweeper/search", "hydra.sweeper.")):
        file = read_yaml(CONF / f"hydra/{path}.yaml")
        rows = [
            [f"`{prefix}{key.name}`", code(key.value), escape(key.comment)]
            for key in file.entries("_target_")
        ]
        group, _, choice = path.partition("/")
        parts += [f"`hydra/{group}={choice}`", table(("key", "default", "meaning"), rows)]
    return parts


def _top_level(file: YamlFile, schema: type) -> str:
    """Return the table of a program's own keys."""
    values = file.content | {name: value for name, value in GIVEN.items() if name in file.content}
    return table(KEY_COLUMNS, _rows(file.entries("hydra"), Schema(schema, "", values), ""))
