"""Results that are kept: of each study its report and a page, and one page that lists them all.

Everything is made again from the archives, see archive.py; of a study's folder only notes.md is written by
hand.
"""

from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from shlex import join

from alexnet.compare.alt_text import alt_text
from alexnet.compare.archive import read_options
from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.documents import environment
from alexnet.compare.factorial.tables import AVERAGED, REMOVED
from alexnet.compare.findings import Finding, findings
from alexnet.compare.outline import outline
from alexnet.compare.report import write_report
from alexnet.compare.runs import Run
from alexnet.compare.tables import Table
from alexnet.compare.titles import data_names
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from alexnet.files import write_text
from alexnet.studies.record import ARCHIVE

PAGE = "README.md"
NOTES = "notes.md"  # by hand: what the numbers mean, and what they do not settle
HOUR = 3600


@dataclass(frozen=True)
class Result:
    """A study in the folder of results: its comparison, and what its page and the list say of it."""

    name: str
    comparison: Comparison
    findings: list[Finding]
    commands: list[str]
    notes: str | None

    @property
    def runs(self) -> list[Run]:
        """All runs that count."""
        return [run for arm in self.comparison.all_variants for run in arm.runs]

    @property
    def data(self) -> str:
        """The data set, in words."""
        return data_names(self.runs)

    @property
    def hours(self) -> float:
        """How long the runs took, one after the other."""
        return fsum(run.wall_seconds or 0 for run in self.runs) / HOUR

    @property
    def confidence(self) -> str:
        """The confidence of its intervals: 95%."""
        return f"{self.comparison.confidence:.0%}"

    @property
    def chart(self) -> tuple[str, str]:
        """The chart that shows it best: the name of its file without its ending, and what it shows."""
        name = next(iter(applicable_charts(self.comparison)))
        return name, alt_text(name, self.comparison)

    @property
    def headline(self) -> list[str]:
        """What was found, in sentences."""
        return outline(self.comparison).headline

    @property
    def table(self) -> Table:
        """Each effect beside the claim, with the second effect of a factorial's factors."""
        factorial = any(found.averaged for found in self.findings)
        headings = ["arm or factor", "runs", REMOVED if factorial else "measured"]
        headings += [f"{self.confidence} interval", "paper", "verdict", *([AVERAGED] if factorial else [])]
        rows = [
            [found.name, str(found.runs), found.measured, found.interval, found.claimed, found.verdict]
            + ([found.averaged] if factorial else [])
            for found in self.findings
        ]
        return Table(headings, rows)

    @property
    def claims(self) -> list[str]:
        """What was said of each arm or factor; the numbers are in the table."""
        claimed = [found for found in self.findings if found.claim.text]
        sections = [f" (§{found.claim.section})" if found.claim.section else "" for found in claimed]
        return [
            f"{found.name}: {found.claim.text}{section}"
            for found, section in zip(claimed, sections, strict=True)
        ]

    @property
    def pilot_runs(self) -> int:
        """The number of the pilot's runs."""
        return len(self.comparison.record.trials) if self.comparison.record else 0

    def shared(self, key: str) -> str:
        """Return an attribute that the runs have in common, or all of its values."""
        return ", ".join(dict.fromkeys(str(getattr(run, key) or "unknown") for run in self.runs))


def write_results(config: CompareConfig) -> list[Path]:
    """Write the reports and pages of all results in `config.results`; return the pages, the list last.

    Raises `UserError` where there are no results, or where they are damaged.
    """
    assert config.results is not None
    folder = Path(config.results).expanduser().absolute()
    archives = sorted(path.parent for path in folder.glob(f"*/{ARCHIVE}"))
    if not archives:
        raise UserError(
            f"results={config.results}: no subfolder contains {ARCHIVE}. Add one: compare.py study=<folder>"
            f" out={config.results}/<name>"
        )
    results = [_read(archive, config) for archive in archives]
    for archive, result in zip(archives, results, strict=True):
        _write_page(archive / PAGE, "result_page.md.jinja", result)
    _write_page(folder / PAGE, "results_list.md.jinja", *results)
    return [path / PAGE for path in (*archives, folder)]


def _read(archive: Path, config: CompareConfig) -> Result:
    """Compare the runs of an archive as they were compared before, and write the report again."""
    options = read_options(archive)
    study = str(archive)
    own = replace(config, results=None, study=study, out=study, **vars(options))
    comparison = compare(own)
    write_report(comparison, own)
    notes = archive / NOTES
    return Result(
        archive.name,
        comparison,
        findings(comparison),
        _commands(comparison),
        notes.read_text(encoding="utf-8").strip() if notes.is_file() else None,
    )


def _commands(comparison: Comparison) -> list[str]:
    """Return the command that made the runs, and those whose runs were added."""
    record = comparison.record
    given = [] if record is None else [record.overrides, *record.added]
    return [f"python src/train.py -m {join(overrides)}" for overrides in given]


def _write_page(path: Path, template: str, *results: Result) -> None:
    try:
        write_text(path, environment().get_template(template).render(results=results))
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error
