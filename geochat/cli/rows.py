"""Rows of results that come one by one: in order, and into a table."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from geochat.assistant.table import AnswerTable, Row
from geochat.cli.reporting import note

Result = TypeVar("Result")


def in_order(results: Iterable[tuple[int, Result]]) -> Iterator[tuple[int, Result]]:
    """Numbered results in the order of their numbers, which count from 0, each as soon as all before it are there."""
    waiting: dict[int, Result] = {}
    following = 0
    for number, result in results:
        waiting[number] = result
        while following in waiting:
            yield following, waiting.pop(following)
            following += 1


@contextmanager
def table_of(path: Path | None) -> Iterator[Callable[[Row], None]]:
    """What writes a row to the table of `--table`, or nowhere; where the user interrupts, say where the rows are.

    Raises:
        ExportError: The table cannot be written.
    """
    if path is None:
        yield lambda _row: None
        return
    with AnswerTable(path) as table:
        try:
            yield table.write
        except KeyboardInterrupt:
            note(f"interrupted; the {table.rows} rows written so far are in {table.part}")
            raise
