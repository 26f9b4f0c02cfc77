"""Configuration of Sphinx, which makes a site of README.md, docs/ and the pages of results/: make docs."""

project = "AlexNet Lab"
extensions = ["myst_parser", "sphinx_external_toc"]
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False

# the pages are found in the whole checkout, so that their links to each other are those of the files
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md", "results/**.md"]
exclude_patterns = [
    *(".venv", ".uv", ".git", "data", "outputs", "src", "tests", "conf", "benchmarks"),
    "results/*/notes.md",  # a part of the page beside it
]
external_toc_path = "docs/_toc.yml"

myst_heading_anchors = 3  # as on GitHub
