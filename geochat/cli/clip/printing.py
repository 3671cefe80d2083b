"""How classifications are printed: a table to read, CSV for spreadsheets, JSON lines for programs."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from geochat.cli.output import print_json
from geochat.clip import Classification

_WIDEST = 48


class Printer(Protocol):
    """Prints one image after the other."""

    def show(self, found: Classification) -> None:
        """Print an image's classification."""


class Table:
    """Image, label, its probability, and the next likeliest class."""

    def __init__(self, classes: Sequence[str], files: Sequence[Path]) -> None:
        self._image = min(max((len(str(file)) for file in files), default=0), _WIDEST)
        self._label = max(map(len, classes))

    def show(self, found: Classification) -> None:
        """Print a line."""
        name = found.image if len(found.image) <= _WIDEST else f"...{found.image[3 - _WIDEST :]}"
        ranked = found.ranked()
        runner_up = "".join(f"   {label} {share:.1%}" for label, share in ranked[1:2])
        print(f"{name:<{self._image}}  {found.label:<{self._label}}  {found.probability:6.1%}{runner_up}", flush=True)


class Csv:
    """A header, then image, label and a probability for each class."""

    def __init__(self, classes: Sequence[str], _files: Sequence[Path]) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(["image", "label", *classes])

    def show(self, found: Classification) -> None:
        """Print a row."""
        self._writer.writerow([found.image, found.label, *(f"{share:.6g}" for share in found.probabilities.values())])
        sys.stdout.flush()


class JsonLines:
    """One object a line: image, label, probabilities by class."""

    def __init__(self, _classes: Sequence[str], _files: Sequence[Path]) -> None:
        pass

    def show(self, found: Classification) -> None:
        """Print an object."""
        print_json(
            {"image": found.image, "label": found.label, "probabilities": found.probabilities},
            indent=None,
        )
        sys.stdout.flush()


PRINTERS: dict[str, type[Table] | type[Csv] | type[JsonLines]] = {"table": Table, "csv": Csv, "json": JsonLines}
