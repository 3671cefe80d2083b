"""Progress of long jobs on standard error.

Imports tqdm when a bar is made, so that commands which show none start at once.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")


def progress_bar(unit: str, total: int | None = None, *, done: int = 0) -> "tqdm[Any]":
    """Make a bar with the count, the rate and the remaining time; close it, or use it as a context manager.

    In a terminal it is redrawn several times per second. Elsewhere, as in the log of a batch job, it prints one line
    per minute, and nothing for jobs of less than a minute.

    Args:
        unit: The plural word for what is counted: "images".
        total: The number of all; None if it is unknown.
        done: The number finished by earlier runs, which the rate leaves out.
    """
    from tqdm import tqdm  # noqa: PLC0415 - keeps help instant

    live = sys.stderr.isatty()
    return tqdm(
        unit=f" {unit}",
        total=total,
        initial=done,
        mininterval=0.2 if live else 60,
        delay=0 if live else 60,
        dynamic_ncols=live,
    )


def counted(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield items and show their count."""
    with progress_bar(unit, total) as bar:
        for item in items:
            yield item
            bar.update()
