"""A report as files: `report.json`, `report.md`, and `report.html`, which needs nothing beside it."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from geochat_eval.bootstrap import Figure
from geochat_eval.reporting.gathering import RunReport
from geochat_eval.running.folder import write_json, write_lines

_CARD = ("benchmark", "figure", "%", "95 % interval", "n", "beside it", "command")


def write_report(report: RunReport) -> list[Path]:
    """Write all three into the run's folder, each whole or not at all; returns their paths."""
    paths = [report.folder.path / f"report.{ending}" for ending in ("json", "md", "html")]
    write_json(paths[0], report.to_dict())
    for path in paths[1:]:
        write_lines(path, _rendered(f"{path.name}.jinja", report).splitlines())
    return paths


def card(reports: Iterable[RunReport]) -> str:
    """The headline figures of several runs as one Markdown table, as a model card shows them."""
    rows = [list(_CARD), ["---"] * len(_CARD)]
    for report in reports:
        for number, (rule, figure) in enumerate(report.headline.items()):
            beside = "; ".join(f"{name} {value}" for name, value in report.standing_beside(rule).items())
            first = [report.benchmark.name, f"`{report.command}`"] if not number else ["", ""]
            rows.append([first[0], f"`{rule}`", percent(figure), interval(figure), str(figure.n), beside, first[1]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def percent(figure: Figure) -> str:
    """A figure with two decimals, "-" where there is none."""
    return f"{figure.percent:.2f}" if math.isfinite(figure.percent) else "-"


def interval(figure: Figure) -> str:
    """Its 95 % interval, empty where there is none."""
    return f"{figure.low:.2f} - {figure.high:.2f}" if math.isfinite(figure.low) else ""


def _rendered(template: str, report: RunReport) -> str:
    import jinja2  # noqa: PLC0415 - only reports need it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geochat_eval.reporting"),
        autoescape=template.endswith(".html.jinja"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "interval": interval, "bar": _bar}
    return environment.get_template(template).render(report=report, confusion=_confusion(report))


def _bar(figure: Figure) -> dict[str, float]:
    """Where a figure and its interval end on an axis of 0 to 100."""
    ends = {"at": figure.percent, "low": figure.low, "high": figure.high}
    return {name: min(100.0, max(0.0, value)) if math.isfinite(value) else 0.0 for name, value in ends.items()}


def _confusion(report: RunReport) -> dict[str, Any] | None:
    """The confusion matrix as columns and rows with shares of their row."""
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
