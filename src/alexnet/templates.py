"""Jinja's templates, which lie beside the modules that fill them in: *.html.jinja and *.md.jinja."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def template_environment(package: str) -> Environment:
    """Return the environment of a package's templates; only in those of HTML is text escaped by itself."""
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=lambda name: name is None or name.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
