"""Which answers of a file count: each question once; and of what its answers are a sample: of images."""

from collections import Counter

from geochat_eval.bootstrap import unit_key
from geochat_eval.formats import Answer

TWICE = "its question was answered by an earlier line, which counts"
_LINES = "lines"


class Account:
    """Sees every answer that is scored. Holds a number for each question and each image."""

    def __init__(self) -> None:
        self._questions: set[int] = set()
        self._units: dict[str, set[int]] = {}
        self._lines = 0

    def check(self, answer: Answer) -> None:
        """Check that no answer to the same question was added.

        Raises:
            ValueError: One was.
        """
        if answer.question is not None and unit_key("\0".join(answer.question)) in self._questions:
            raise ValueError(TWICE)

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        if answer.question is not None:
            self._questions.add(unit_key("\0".join(answer.question)))
        if answer.unit is None:
            self._lines += 1
        else:
            kind, name = answer.unit
            self._units.setdefault(kind, set()).add(unit_key(name))

    @property
    def resampled(self) -> dict[str, int]:
        """How many there are of what the bootstrap resamples: images; ids or lines where a line names no image."""
        found = Counter({kind: len(names) for kind, names in self._units.items()})
        if self._lines:
            found[_LINES] = self._lines
        return dict(found)

    def __str__(self) -> str:
        """One sentence for people."""
        parts = ", ".join(f"{count} {kind if count != 1 else kind[:-1]}" for kind, count in self.resampled.items())
        missing = [kind for kind in self.resampled if kind != "images"]
        stands = f"; where a line names no image, its {' or '.join(k[:-1] for k in missing)} stands for it"
        return f"intervals resample {parts}{stands if missing else ''}"
