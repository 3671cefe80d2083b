"""What answers look like, whether they are right or wrong.

- `clean_regions`: answers all of whose regions could be read, out of those with a region or what was meant as one.
- `empty`: answers without a word, out of all.
- `cut_off`: answers that spent their budget, out of all; known where the line says how the answer ended (`finish`).
"""

from typing import Any

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.formats import Answer
from geochat_eval.scorers import ScorerSettings

_RULES = ("clean_regions", "empty", "cut_off")


class Form:
    """Counts answers by their form."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(_RULES, replicates=settings.replicates, seed=settings.seed)

    def add(self, answer: Answer, _worth: float) -> None:
        """Count one answer."""
        parsed = answer.dialect.parse(answer.text)
        clean, grounded = not parsed.problems, bool(parsed.problems or parsed.regions)
        cut_off = answer.fields.get("finish") == "length"
        shares = [(clean and grounded, grounded), (not answer.text.strip(), 1), (cut_off, 1)]
        self._shares.add(shares, (), answer.unit_name)

    @property
    def figures(self) -> dict[str, Figure]:
        """The shares; those that are out of nothing left out."""
        return {rule: figure for rule, figure in self._shares.figures().items() if figure.n}

    def to_dict(self) -> dict[str, Any]:
        """The shares in percent, with their intervals and what they are out of."""
        return {rule: figure.rounded for rule, figure in self.figures.items()}
