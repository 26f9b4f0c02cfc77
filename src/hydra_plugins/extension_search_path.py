"""Search path for the YAML files of extensions, see `alexnet.config.extensions`."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from alexnet.config.extensions import extension_folders


class ExtensionSearchPath(SearchPathPlugin):
    """Adds the conf/ beside each extension to conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in extension_folders():
            search_path.append("extension", f"file://{folder}")
