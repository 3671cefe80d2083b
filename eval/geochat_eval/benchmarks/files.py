"""Making questions of the rows of the files that benchmarks come in."""

from collections.abc import Callable, Iterator
from pathlib import Path

from geochat_data.readers import Report
from geochat_eval.benchmarks.base import Item
from geochat_eval.rows import Row, read_rows


def read_items(path: Path, report: Report, make: Callable[[Row, int], Item | None], member: str = "") -> Iterator[Item]:
    """`read_rows` through `make`, which is given a row and its number; rows it cannot use are counted and left out.

    Args:
        path: As of `read_rows`.
        report: Counts what is used and what is not.
        make: None passes over a row that is meant for another purpose. May raise KeyError for a missing field, and
            ValueError or TypeError for a malformed one.
        member: As of `read_rows`.
    """
    for number, (where, row) in enumerate(read_rows(path, report, member)):
        try:
            item = make(row, number)
        except KeyError as error:
            report.skip(f"it has no field {error}", where)
        except (TypeError, ValueError, OSError) as error:  # OSError: a name no file can have
            report.skip(f"malformed: {error}", where)
        else:
            if item is not None:
                report.used += 1
                yield item


def text(row: Row, *names: str) -> str:
    """The first of the fields `names` that is there, which must hold text or a number.

    Raises:
        KeyError: There is none.
        TypeError: It holds something else.
    """
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        raise KeyError(" or ".join(names))
    value = row[name]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is a {type(value).__name__}, not text")
    return str(value)


def name_of(row: Row, number: int, field: str = "question_id") -> str | int:
    """What a question is called, as its file calls it; by its number where the file does not."""
    name = row.get(field)
    return name if isinstance(name, str | int) and not isinstance(name, bool) else number


def image_name(row: Row, *names: str) -> str:
    """An image's name from the first of the fields that is there, which may not lead out of its folder.

    Raises:
        KeyError: There is none.
        ValueError: It leads elsewhere.
    """
    name = text(row, *names)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("its image's name leads out of the folder of images")
    return name
