"""Whether a model looks: asked for what is not there, and asked about one region and then about another.

Existence, where the truth is yes or no. An answer says yes when it holds a box or its first word is "yes".

- `accuracy`: answers that say what is true; `accuracy/present` and `accuracy/absent` where the truth is yes and no.
- `balanced_accuracy`: the mean of the two, 50 for whoever always says the same.

Identify, where the truth is a category, compared by `geochat_eval.same_answer`.

- `accuracy`, by category (`accuracy/category/NAME`) and as the mean over categories (`accuracy/macro`).
- `pairs_right`: of two questions about regions of one image (lines of one `pair`), both answered right, out of pairs.
  That is what exchanging the answers with the regions means.
- `pairs_unmoved`: pairs in which both got the same answer, out of pairs: the region was not looked at.
"""

import re
from collections import Counter

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.formats import Answer
from geochat_eval.same_answer import answer_key
from geochat_eval.scorers.base import Scored, ScorerSettings

_YES = re.compile(r"\W*yes\b", re.IGNORECASE)
_TRUTHS = {"yes": "present", "no": "absent"}


class ExistenceScorer:
    """Asked for what is there and what is not."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(("accuracy",), replicates=settings.replicates, seed=settings.seed)

    def add(self, answer: Answer) -> float:
        """Count one answer; 1 where it is right."""
        truth = _TRUTHS.get(answer_key(answer.label))
        if truth is None:
            raise ValueError("its ground truth is neither yes nor no")
        says_yes = bool(answer.grounded.boxes) or bool(_YES.match(answer.text))
        right = float(says_yes == (truth == "present"))
        self._shares.add([(right, 1)], [truth], answer.unit_name)
        return right

    def result(self) -> Scored:
        """Figures, and what always saying the commoner answer would get."""
        groups = self._shares.groups
        figures: dict[str, Figure] = self._shares.figures()
        figures["balanced_accuracy"] = self._shares.mean("accuracy", groups)
        sizes = [self._shares.figure("accuracy", group).n for group in groups]
        return Scored(figures, {"majority/accuracy": 100 * max(sizes) / sum(sizes)})


class IdentifyScorer:
    """What is in a region."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(("accuracy",), replicates=settings.replicates, seed=settings.seed)
        self._pairs = Shares(("pairs_right", "pairs_unmoved"), replicates=settings.replicates, seed=settings.seed)
        self._waiting: dict[str, tuple[str, bool]] = {}  # the first answer of a pair, and whether it was right
        self._truths: Counter[str] = Counter()

    def add(self, answer: Answer) -> float:
        """Count one answer; 1 where it is right."""
        found, truth = answer_key(answer.text), answer_key(answer.label)
        right = found == truth
        self._shares.add([(right, 1)], [f"category/{truth}"], answer.unit_name)
        self._truths[truth] += 1
        pair = answer.group("pair")
        if pair is not None and pair in self._waiting:
            other, other_right = self._waiting.pop(pair)
            self._pairs.add([(right and other_right, 1), (found == other, 1)], (), answer.unit_name)
        elif pair is not None:
            self._waiting[pair] = found, right
        return float(right)

    def result(self) -> Scored:
        """Figures, and what always naming the commonest category would get."""
        figures: dict[str, Figure] = {"accuracy": self._shares.figure("accuracy")}
        figures["accuracy/macro"] = self._shares.mean("accuracy", self._shares.groups)
        figures |= {f"accuracy/{name}": self._shares.figure("accuracy", name) for name in self._shares.groups}
        figures |= self._pairs.figures()
        majority = 100 * max(self._truths.values()) / self._truths.total()
        return Scored(figures, {"majority/accuracy": majority})
