"""The files of a comparison: report.html, report.md, CSV files and a PNG for each chart."""

from functools import partial
from pathlib import Path

from alexnet.compare.archive import Options, write_archive
from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import Comparison
from alexnet.compare.documents import html_report, markdown_report
from alexnet.compare.how_many import how_many_section
from alexnet.compare.spreadsheets import csv_files
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from alexnet.files import atomic_write_files, write_csv, write_text
from alexnet.paths import PROJECT
from alexnet.plotting import render_for_pages


def write_report(comparison: Comparison, config: CompareConfig) -> Path:
    """Write all files, or none where one cannot be written; return the folder that holds them.

    Raises `UserError`, also where `resolve` has no answer.
    """
    how_many_section(comparison)  # raises before anything is drawn
    folder = Path(config.out or config.study or PROJECT / "outputs/comparison").expanduser().absolute()
    images = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write_files(folder) as aside:
            for name, draw in applicable_charts(comparison).items():
                png, images[name] = render_for_pages(partial(draw, comparison))
                (aside / f"{name}.png").write_bytes(png)
            write_text(aside / "report.html", html_report(comparison, images))
            write_text(aside / "report.md", markdown_report(comparison))
            write_archive(comparison.read, Options.of(config), aside)
            for name, rows in csv_files(comparison).items():
                write_csv(aside / name, rows)
    except OSError as error:
        raise UserError(
            f"Cannot write the report to {folder}: {error.strerror}. Choose another folder: out=..."
        ) from error
    return folder
