"""Registries: the choices of one kind by name, the project's own and those of other modules.

A choice is registered by a decorator, under the name that YAML files and the command line use:

    @register_optimizer("lion")
    @dataclass
    class Lion(OptimizerConfig):
        beta: float = MISSING

        def build(self, groups): ...
"""

import re
from collections.abc import Callable
from dataclasses import field, fields, is_dataclass, make_dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config.extensions import load_extension, loaded_extensions
from alexnet.errors import UserError, first_line, suggest

Choice = TypeVar("Choice", bound=Callable[..., Any])


class Registry(Generic[Choice]):
    """The choices of one kind, by name.

    `key` is the configuration key that selects one. The project's own choices are the modules of `package`,
    which are imported when a name is first looked up, by name, as the package lies above this one. They must
    not import torch at their top: configuration errors do not wait for it.
    """

    def __init__(self, kind: str, key: str, package: str | None = None) -> None:
        self.kind, self.key, self.package = kind, key, package
        self._choices: dict[str, Choice] = {}
        self._imported = False

    def register(self, name: str) -> Callable[[Choice], Choice]:
        """Return the decorator that registers a choice under `name`.

        Raises `TypeError` for an object that cannot be a choice of this kind, and `ValueError` for a name
        that is taken or does not consist of lowercase letters, digits and underscores.
        """
        if not isinstance(name, str):
            raise TypeError(f'a name is missing: write register("name") above this {self.kind}')
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r}: a name consists of lowercase letters, digits and underscores")

        def add(choice: Choice) -> Choice:
            self.check(name, choice)
            if (before := self._all().get(name)) is not None and _place(before) != _place(choice):
                raise ValueError(f"the name {name!r} is taken, by the {self.kind} in {before.__module__}")
            self._choices[name] = choice
            return choice

        return add

    def check(self, name: str, choice: Any) -> None:
        """Raise `TypeError` for what cannot be a choice of this kind."""
        if not callable(choice):
            what = type(choice).__name__
            raise TypeError(f"the {self.kind} {name!r} is of type {what}: expected a class or function")

    def names(self) -> list[str]:
        """Return the names of all choices, sorted."""
        return sorted(self._all())

    def __getitem__(self, name: Any) -> Choice:
        """Return a choice. Raises `UserError` if there is none of this name, with the nearest one."""
        choices = self._all()
        if name in choices:
            return choices[name]
        given = str(name)
        raise UserError(
            f"{self.key}={given}: there is no such {self.kind}.{suggest(given, choices)}"
            f" Choices: {', '.join(sorted(choices))}."
        )

    def _all(self) -> dict[str, Choice]:
        if self.package is not None and not self._imported:
            self._imported = True  # before the imports, in which the choices register
            for module in iter_modules(import_module(self.package).__path__, f"{self.package}."):
                import_module(module.name)
        return self._choices


class ConfigRegistry(Registry[Choice]):
    """The choices of a group of conf/: configuration classes derived from `base`, which build what they name.

    The key `discriminator` of the group holds the name of the choice, `default` where a configuration of
    before has none. Hydra knows each class as `_<name>` in its group, for the defaults list of the YAML files
    that set its values.
    """

    of_base: ClassVar[dict[type, "ConfigRegistry[Any]"]] = {}

    def __init__(
        self,
        kind: str,
        base: Choice,
        group: str,
        discriminator: str,
        *,
        package: str | None = None,
        default: str | None = None,
    ) -> None:
        super().__init__(kind, f"{group}.{discriminator}", package)
        self.base, self.group, self.discriminator, self.default = base, group, discriminator, default
        self.of_base[cast(type, base)] = self

    def check(self, name: str, choice: Any) -> None:
        _check_dataclass(self.kind, name, choice, cast(type, self.base))

    def schema_of(self, group: DictConfig) -> Choice:
        """Return the class of a configured group; the base class if its choice is missing."""
        name = OmegaConf.select(group, self.discriminator, throw_on_missing=False, default=self.default)
        return self.base if name is None else self[name.value if isinstance(name, Enum) else name]

    def node(self, name: str) -> DictConfig:
        """Return the schema of a choice, with its name set."""
        node = to_node(cast(type, self[name]))
        node[self.discriminator] = name
        return node


class FieldRegistry(Registry[Choice]):
    """Choices that are all in a configuration at once: each is a key of the class `owner`, off by default.

    `base` is the class of their own configurations; None: they have none, and their key is a switch.
    """

    of_owner: ClassVar[dict[type, "FieldRegistry[Any]"]] = {}

    def __init__(
        self,
        kind: str,
        key: str,
        owner: type,
        base: Choice | None = None,
        *,
        package: str | None = None,
    ) -> None:
        super().__init__(kind, key, package)
        self.owner, self.base = owner, base
        self._extended: dict[tuple[Any, ...], type] = {}
        self.of_owner[owner] = self

    def check(self, name: str, choice: Any) -> None:
        if self.base is None:
            super().check(name, choice)
        else:
            _check_dataclass(self.kind, name, choice, cast(type, self.base))
        if hasattr(self.owner, name) or name in (item.name for item in fields(self.owner)):
            raise ValueError(f"{self.key}.{name} is already a key: the {self.kind} needs another name")

    def extend(self, schema: type) -> type:
        """Return a class with a key for each choice, derived from `schema`: `owner` or one of its own."""
        choices = tuple(sorted(self._all().items()))
        if not choices:
            return schema
        if (schema, choices) not in self._extended:
            added = [self._field(name, choice) for name, choice in choices]
            namespace = {"__doc__": schema.__doc__, "__reduce__": _reduce}
            self._extended[schema, choices] = make_dataclass(
                schema.__name__, added, bases=(schema,), namespace=namespace
            )
        return self._extended[schema, choices]

    def _field(self, name: str, choice: Choice) -> tuple[str, type, Any]:
        if self.base is None:
            return name, bool, field(default=False)
        return name, cast(type, choice), field(default_factory=choice)

    def switched_on(self, config: Any) -> list[str]:
        """Return the names of the choices whose switch is on."""
        return [name for name in self.names() if getattr(config, name, False) is True]

    def configs(self, config: Any) -> dict[str, Any]:
        """Return the configurations of the choices in one of `owner`, by name."""
        return {name: getattr(config, name) for name in self.names() if hasattr(config, name)}


def _reduce(config: Any) -> tuple[Any, ...]:
    """Pickle a configuration of a class that `FieldRegistry.extend` has made, for another process."""
    return _restore, (type(config).__mro__[1], vars(config), list(loaded_extensions()))


def _restore(schema: type, values: dict[str, Any], extensions: list[str]) -> Any:
    for name in extensions:
        load_extension(name)
    return _extended(schema)(**values)


def to_node(schema: type) -> DictConfig:
    """Return a schema for OmegaConf, with the keys that registered choices add to it at any depth."""
    node = OmegaConf.structured(_extended(schema))
    for name, nested in nested_schemas(schema).items():
        if not OmegaConf.is_missing(node, name) and node[name] is not None and _gains_keys(nested):
            node[name] = to_node(nested)
    return cast(DictConfig, node)


def _extended(schema: type) -> type:
    """Return a schema with the keys that choices add to it, or to a class that it derives from."""
    for owner in schema.__mro__:
        if owner in FieldRegistry.of_owner:
            return FieldRegistry.of_owner[owner].extend(schema)
    return schema


def _gains_keys(schema: type) -> bool:
    return _extended(schema) is not schema or any(map(_gains_keys, nested_schemas(schema).values()))


@cache
def nested_schemas(schema: type) -> dict[str, type]:
    """Return the classes of a schema's keys that are configurations themselves."""
    hints = get_type_hints(schema)
    classes = {key.name: (hints[key.name], *get_args(hints[key.name])) for key in fields(schema)}
    return {
        name: candidate
        for name, candidates in classes.items()
        for candidate in candidates
        if isinstance(candidate, type) and is_dataclass(candidate)
    }


def groups_of(schema: type) -> dict[str, ConfigRegistry[Any]]:
    """Return the registries of a schema's keys whose class depends on the choice."""
    known = ConfigRegistry.of_base
    return {name: known[nested] for name, nested in nested_schemas(schema).items() if nested in known}


def choices_of(schema: type) -> list[type]:
    """Return the classes that a key of class `schema` may hold, with the keys that choices add to them."""
    registry = ConfigRegistry.of_base.get(schema)
    return [schema] if registry is None else [registry[name] for name in registry.names()]


def choice_keys() -> dict[str, str]:
    """Return the key that holds the choice of each group, by group: {"model": "model.family", ...}."""
    return {registry.group: registry.key for registry in ConfigRegistry.of_base.values()}


def _check_dataclass(kind: str, name: str, choice: Any, base: type) -> None:
    """Raise `TypeError` for what is not a dataclass derived from `base` with the methods that it requires."""
    if not isinstance(choice, type) or not issubclass(choice, base):
        raise TypeError(f"the {kind} {name!r} is not a class derived from {base.__name__}")
    if "__dataclass_fields__" not in vars(choice):
        raise TypeError(f"the {kind} {name!r} is not a dataclass: write @dataclass above the class")
    declaring = next(cls for cls in choice.__mro__ if "required_methods" in vars(cls))
    for method in vars(declaring)["required_methods"]:
        if getattr(choice, method) is getattr(declaring, method):
            raise TypeError(f"the {kind} {name!r} lacks {method}()")
    if choice.__module__.partition(".")[0] != __name__.partition(".")[0]:  # the project's own are tested
        try:
            to_node(choice)
        except (OmegaConfBaseException, NameError) as error:
            raise TypeError(f"the {kind} {name!r}: {first_line(error)}") from error


def _place(choice: Any) -> tuple[str, str]:
    return choice.__module__, choice.__qualname__
