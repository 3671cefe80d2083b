"""Figures as a table people can read."""

import math
from collections.abc import Iterator, Mapping

from geochat_eval.bootstrap import Figure
from geochat_eval.scorers.base import Scored


def lines(scored: Scored) -> Iterator[str]:
    """A line for each figure, those of groups indented below; then the baselines and what could not be computed."""
    rules = list(dict.fromkeys(name.split("/")[0] for name in scored.figures))
    figures = sorted(scored.figures.items(), key=lambda item: rules.index(item[0].split("/")[0]))  # stable
    names = [f"  {name.split('/', 1)[1]}" if "/" in name else name for name, _ in figures]
    width = max(map(len, [*names, *scored.baselines, *scored.not_computed]))
    yield f"{'':<{width}}  {'percent':>8}  {'95 % interval':<16}  {'n':>8}"
    for name, (_, figure) in zip(names, figures, strict=True):
        yield f"{name:<{width}}  {_number(figure.percent)}  {_interval(figure):<16}  {figure.n:>8}"
    for title, rows in (
        ("without a model", {name: _number(percent) for name, percent in scored.baselines.items()}),
        ("not computed", {name: f"  {reason}" for name, reason in scored.not_computed.items()}),
    ):
        if rows:
            yield f"\n{title}"
            yield from (f"{name:<{width}}  {text}" for name, text in rows.items())


def headline_lines(figures: Mapping[str, Figure]) -> Iterator[str]:
    """A line for each of a few figures."""
    width = max(map(len, figures), default=0)
    for name, figure in figures.items():
        yield f"{name:<{width}}  {_number(figure.percent)}  {_interval(figure):<16}  n {figure.n}"


def difference_lines(first: Scored, second: Scored, differences: Mapping[str, Figure]) -> Iterator[str]:
    """A line for each rule: both figures, the difference and its paired interval, * where that excludes zero."""
    width = max(map(len, differences))
    yield f"{'':<{width}}  {'A':>8}  {'B':>8}  {'A - B':>8}  {'95 % interval':<16}  {'n':>8}"
    for rule, difference in differences.items():
        both = f"{_number(first.figures[rule].percent)}  {_number(second.figures[rule].percent)}"
        mark = "*" if difference.low > 0 or difference.high < 0 else ""
        found = f"{_number(difference.percent)}  {_interval(difference):<16}  {difference.n:>8} {mark}"
        yield f"{rule:<{width}}  {both}  {found}".rstrip()


def _number(percent: float) -> str:
    return f"{percent:8.2f}" if math.isfinite(percent) else f"{'-':>8}"


def _interval(figure: Figure) -> str:
    return f"{figure.low:6.2f} - {figure.high:6.2f}" if math.isfinite(figure.low) else ""
