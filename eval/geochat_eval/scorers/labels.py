"""Answers that are one label: scene classes and short answers to questions.

Rules, each the share of answers equal to the truth after both have been changed as said:

- `accuracy`: lower case, spaces and full stops removed. The published GeoChat scene scorer changes the answer so.
- `geochat` (scenes): the same answer against the truth in lower case only, as that scorer compares; differs from
  `accuracy` where the names of classes hold spaces or full stops.
- `earthdial`: lower case; for scenes spaces removed too.

`accuracy/macro` is the mean over classes or types, `accuracy/without_count` leaves questions for a number out
(types that hold "count" or "quantity"), `accuracy/without_count_macro` is the mean over the types left.
`accuracy/balanced/TYPE` is the mean over the true answers to a type of question, where these are yes and no: 50 for
whoever always says the same.
"""

from collections import Counter, defaultdict
from typing import Any

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.formats import Answer
from geochat_eval.scorers.base import Scored, ScorerSettings

_SPLIT = "/"
_MAX_CLASSES = 1000  # of which a confusion matrix is kept
_NO_CLASS = "(no class)"
_YES_NO = {"yes", "no"}
_YES_NO_OF = "yes or no/"


def plain(text: str) -> str:
    """Lower case, without spaces and full stops."""
    return text.lower().replace(" ", "").replace(".", "").strip()


class SceneScorer:
    """Scene classification: accuracy, by class, and which classes are taken for which.

    The truth is the line's, or the part of `question_id` before the first slash, as in the original's files.
    """

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(("accuracy", "geochat", "earthdial"), replicates=settings.replicates, seed=settings.seed)
        self._pairs: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, answer: Answer) -> float:
        """Count one answer; 1 where `accuracy` finds it right."""
        truth = _scene(answer)
        rights = (
            plain(answer.text) == plain(truth),
            plain(answer.text) == truth.lower(),
            answer.text.lower().replace(" ", "") == truth.lower().replace(" ", ""),
        )
        self._shares.add([(right, 1) for right in rights], [f"class/{plain(truth)}"])
        self._pairs[plain(truth)][plain(answer.text)] += 1
        return float(rights[0])

    def result(self) -> Scored:
        """Figures, the share of the commonest class, and the confusion matrix {truth: {answer: count}}."""
        classes = self._shares.groups
        figures = {rule: self._shares.figure(rule) for rule in ("accuracy", "geochat", "earthdial")}
        figures["accuracy/macro"] = self._shares.mean("accuracy", classes)
        figures |= {f"accuracy/{name}": self._shares.figure("accuracy", name) for name in classes}
        sizes = {truth: found.total() for truth, found in self._pairs.items()}
        majority = 100 * max(sizes.values()) / sum(sizes.values())
        return Scored(figures, {"majority/accuracy": majority}, {"confusion": self._confusion()})

    def _confusion(self) -> dict[str, dict[str, int]]:
        """Counts of answers by class; what names no class of the truths is counted together."""
        confusion: dict[str, dict[str, int]] = {}
        for truth in sorted(self._pairs)[:_MAX_CLASSES]:
            row: Counter[str] = Counter()
            for answer, count in self._pairs[truth].items():
                row[answer if answer in self._pairs else _NO_CLASS] += count
            confusion[truth] = dict(sorted(row.items()))
        return confusion


class VqaScorer:
    """Visual question answering: accuracy by type of question, micro and macro, with and without counting."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(("accuracy", "earthdial"), replicates=settings.replicates, seed=settings.seed)
        self._truths: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, answer: Answer) -> float:
        """Count one answer; 1 where `accuracy` finds it right."""
        truth = answer.label
        kind = answer.group("vqa_type", "category", "question_type", "type") or "untyped"
        counting = "count" in kind.lower() or "quantity" in kind.lower()
        rights = (plain(answer.text) == plain(truth), answer.text.lower() == truth.lower())
        groups = [f"type/{kind}", *([] if counting else ["without_count"])]
        if plain(truth) in _YES_NO:
            groups.append(f"{_YES_NO_OF}{kind}/{plain(truth)}")
        self._shares.add([(right, 1) for right in rights], groups)
        self._truths[kind][plain(truth)] += 1
        return float(rights[0])

    def result(self) -> Scored:
        """Figures, and what the commonest answer to each type of question would get."""
        types = [group for group in self._shares.groups if group.startswith("type/")]
        others = [name for name in types if "count" not in name.lower() and "quantity" not in name.lower()]
        figures: dict[str, Figure] = {}
        for rule in ("accuracy", "earthdial"):
            figures[rule] = self._shares.figure(rule)
            figures[f"{rule}/macro"] = self._shares.mean(rule, types)
            if others:
                figures[f"{rule}/without_count"] = self._shares.figure(rule, "without_count")
                figures[f"{rule}/without_count_macro"] = self._shares.mean(rule, others)
            figures |= {f"{rule}/{name}": self._shares.figure(rule, name) for name in types}
        for kind, truths in sorted(self._truths.items()):
            if truths.keys() == _YES_NO:
                halves = [f"{_YES_NO_OF}{kind}/{truth}" for truth in sorted(_YES_NO)]
                figures[f"accuracy/balanced/{kind}"] = self._shares.mean("accuracy", halves)
        return Scored(figures, _majorities(self._truths))


def _majorities(truths: dict[str, Counter[str]]) -> dict[str, float]:
    """Percent right when each type of question is always given its commonest answer."""
    right = {kind: counts.most_common(1)[0][1] for kind, counts in truths.items()}
    total = {kind: counts.total() for kind, counts in truths.items()}
    by_type = {f"majority/accuracy/type/{kind}": 100 * right[kind] / total[kind] for kind in sorted(truths)}
    return {"majority/accuracy": 100 * sum(right.values()) / sum(total.values()), **by_type}


def _scene(answer: Answer) -> str:
    if answer.truth is not None:
        return answer.label
    question: Any = answer.fields.get("question_id")
    if isinstance(question, str) and _SPLIT in question:
        return question.split(_SPLIT)[0]
    return answer.label
