"""How findings are shown and counted."""

from collections.abc import Iterator
from io import StringIO

from rich.console import Console

from alexnet.doctor.report import Finding, Report, failed, ok, warning
from alexnet.errors import UserError


def new_report() -> tuple[Report, StringIO]:
    shown = StringIO()
    return Report(Console(file=shown, soft_wrap=True)), shown


def test_ready() -> None:
    report, shown = new_report()
    assert report.check("disk", lambda: [ok("disk", "9 GB free [for outputs]")])
    report.conclude()
    assert shown.getvalue() == "ok      disk         9 GB free [for outputs]\n\nReady.\n"
    assert not report.failed


def test_notes_do_not_fail() -> None:
    report, shown = new_report()
    assert report.check("W&B", lambda: [warning("W&B", "slow", "Wait.")])
    report.conclude()
    assert shown.getvalue() == f"note    W&B          slow\n{'':21}Wait.\n\nReady, with 1 note.\n"
    assert not report.failed


def test_failures() -> None:
    report, shown = new_report()
    assert not report.check("a", lambda: [ok("a", "well"), failed("a", "ill", "Rest.")])
    assert report.check("b", lambda: [ok("b", "well")])  # counts its own only
    report.conclude()
    assert shown.getvalue().endswith("\n1 of 3 checks failed.\n")
    assert report.failed


def test_the_unexpected_is_a_red_line_and_the_rest_continues() -> None:
    report, shown = new_report()

    def broken() -> Iterator[Finding]:
        yield ok("first", "well")
        raise RuntimeError("CUDA error: no kernel image\nwith more lines")

    def mistaken() -> int:
        raise UserError("data.root=/x: there is no such folder.")

    assert not report.check("gpu", broken)
    assert report.attempt("data", mistaken) is None
    assert report.attempt("more", lambda: 3) == 3
    lines = shown.getvalue().splitlines()
    assert lines[0].startswith("ok      first")
    assert lines[1] == "FAILED  gpu          RuntimeError: CUDA error: no kernel image"
    assert lines[3] == "FAILED  data         data.root=/x: there is no such folder."
    assert len(lines) == 4


def test_lines_appear_while_a_check_runs() -> None:
    report, shown = new_report()
    seen = []

    def slow() -> Iterator[Finding]:
        yield ok("one", "first")
        seen.append(shown.getvalue())
        yield ok("two", "second")

    report.check("slow", slow)
    assert "first" in seen[0]
    assert "second" not in seen[0]


def test_colours_have_words_beside_them() -> None:
    shown = StringIO()
    report = Report(Console(file=shown, force_terminal=True, soft_wrap=True, color_system="standard"))
    for finding in (ok("a", "x"), warning("b", "x", "y"), failed("c", "x")):
        report.add(finding)
    for color, word in ((32, "ok"), (33, "note"), ("1;31", "FAILED")):
        assert f"\x1b[{color}m{word:8}\x1b[0m" in shown.getvalue()
