"""AlexNet and its innovations, each of which can be switched on and off.

>>> import alexnet
>>> network = alexnet.create_model("alexnet_2012", classes=10, lrn=False)
>>> run = alexnet.load_run("outputs/runs/...")
"""

TYPE_CHECKING = False  # that of typing, which takes a while to import: alexnet.interruption comes first
if TYPE_CHECKING:
    from alexnet.api import TrainedRun, create_model, list_models, load_run

    __version__: str

__all__ = ["TrainedRun", "create_model", "list_models", "load_run"]


def __getattr__(name: str) -> object:
    """Import torch when a function is used: the programs' `--help` does not wait for it."""
    if name == "__version__":
        from alexnet.version import read_version

        return read_version()
    if name not in __all__:
        raise AttributeError(f"module 'alexnet' has no attribute '{name}'")
    from alexnet import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__, "__version__"]
