"""Reports as files - `report.json`, `report.md` and `report.html`, which is self-contained - and as text tables."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from geochat_eval.bootstrap import Figure
from geochat_eval.reports.report_data import RunReport
from geochat_eval.runs.folder import write_json, write_lines
from geochat_eval.scorers.base import Scored

_CARD = ("benchmark", "figure", "%", "95 % interval", "n", "beside it", "command")


def write_report(report: RunReport) -> list[Path]:
    """Write all three into the run's folder, each atomically; returns their paths."""
    paths = [report.folder.path / f"report.{ending}" for ending in ("json", "md", "html")]
    write_json(paths[0], report.to_dict())
    for path in paths[1:]:
        write_lines(path, _rendered(f"{path.name}.jinja", report).splitlines())
    return paths


def card(reports: Iterable[RunReport]) -> str:
    """Return the headline figures of several runs as one Markdown table, for a model card."""
    rows = [list(_CARD), ["---"] * len(_CARD)]
    for report in reports:
        for number, (rule, figure) in enumerate(report.headline.items()):
            beside = "; ".join(f"{name} {value}" for name, value in report.reference_figures(rule).items())
            first = [report.benchmark.name, f"`{report.command}`"] if not number else ["", ""]
            rows.append([first[0], f"`{rule}`", percent(figure), interval(figure), str(figure.n), beside, first[1]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def percent(figure: Figure) -> str:
    """Format a figure with two decimals, "-" if there is none."""
    return f"{figure.percent:.2f}" if math.isfinite(figure.percent) else "-"


def interval(figure: Figure) -> str:
    """Format its 95 % interval, empty if there is none."""
    return f"{figure.low:.2f} - {figure.high:.2f}" if math.isfinite(figure.low) else ""


def _rendered(template: str, report: RunReport) -> str:
    import jinja2  # noqa: PLC0415 - only reports need it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geochat_eval.reports"),
        autoescape=template.endswith(".html.jinja"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "interval": interval, "bar": _bar}
    return environment.get_template(template).render(report=report, confusion=_confusion(report))


def _bar(figure: Figure) -> dict[str, float]:
    """Return the positions of a figure and of the ends of its interval on an axis of 0 to 100."""
    ends = {"at": figure.percent, "low": figure.low, "high": figure.high}
    return {name: min(100.0, max(0.0, value)) if math.isfinite(value) else 0.0 for name, value in ends.items()}


def _confusion(report: RunReport) -> dict[str, Any] | None:
    """Return the confusion matrix as columns and rows with shares of their row."""
    counts = report.scored.scored.details.get("confusion")
    if not counts:
        return None
    extra = sorted({answer for row in counts.values() for answer in row} - counts.keys())
    columns = [*counts, *extra]
    rows = {
        truth: [(row.get(answer, 0), row.get(answer, 0) / max(1, sum(row.values()))) for answer in columns]
        for truth, row in counts.items()
    }
    return {"columns": columns, "rows": rows}


def table_lines(scored: Scored) -> Iterator[str]:
    """Yield one line per figure, group figures indented below; then the baselines and what could not be computed."""
    rules = list(dict.fromkeys(name.split("/")[0] for name in scored.figures))
    figures = sorted(scored.figures.items(), key=lambda item: rules.index(item[0].split("/")[0]))  # stable
    names = [f"  {name.split('/', 1)[1]}" if "/" in name else name for name, _ in figures]
    width = max(map(len, [*names, *scored.baselines, *scored.not_computed]))
    yield f"{'':<{width}}  {'percent':>8}  {'95 % interval':<16}  {'n':>8}"
    for name, (_, figure) in zip(names, figures, strict=True):
        yield f"{name:<{width}}  {_number(figure.percent)}  {_text_interval(figure):<16}  {figure.n:>8}"
    for title, rows in (
        ("without a model", {name: _number(percent) for name, percent in scored.baselines.items()}),
        ("not computed", {name: f"  {reason}" for name, reason in scored.not_computed.items()}),
    ):
        if rows:
            yield f"\n{title}"
            yield from (f"{name:<{width}}  {text}" for name, text in rows.items())


def headline_lines(figures: Mapping[str, Figure]) -> Iterator[str]:
    """Yield one line for each of a few figures."""
    width = max(map(len, figures), default=0)
    for name, figure in figures.items():
        yield f"{name:<{width}}  {_number(figure.percent)}  {_text_interval(figure):<16}  n {figure.n}"


def difference_lines(first: Scored, second: Scored, differences: Mapping[str, Figure]) -> Iterator[str]:
    """Yield one line per rule: both figures, the difference and its paired interval, * if that excludes zero."""
    width = max(map(len, differences))
    yield f"{'':<{width}}  {'A':>8}  {'B':>8}  {'A - B':>8}  {'95 % interval':<16}  {'n':>8}"
    for rule, difference in differences.items():
        both = f"{_number(first.figures[rule].percent)}  {_number(second.figures[rule].percent)}"
        mark = "*" if difference.low > 0 or difference.high < 0 else ""
        found = f"{_number(difference.percent)}  {_text_interval(difference):<16}  {difference.n:>8} {mark}"
        yield f"{rule:<{width}}  {both}  {found}".rstrip()


def _number(percent: float) -> str:
    return f"{percent:8.2f}" if math.isfinite(percent) else f"{'-':>8}"


def _text_interval(figure: Figure) -> str:
    return f"{figure.low:6.2f} - {figure.high:6.2f}" if math.isfinite(figure.low) else ""
