"""Answers that are one label: scene classes and short answers to questions.

Rules, each the share of answers equal to the truth after both have been changed as said:

- `accuracy`: numbers as numbers, words whatever their case and the marks around them (`geochat_eval.same_answer`).
- `plain`: lower case, spaces and full stops removed, which makes "1.5" of "15". It is what `accuracy` was before
  numbers were compared, and how the published GeoChat scene scorer changes answers.
- `geochat` (scenes): the answer so changed against the truth in lower case only, as that scorer compares; differs from
  `plain` where the names of classes hold spaces or full stops.
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
from geochat_eval.same_answer import answer_key
from geochat_eval.scorers.base import Scored, ScorerSettings

_SCENE_RULES = ("accuracy", "plain", "geochat", "earthdial")
_VQA_RULES = ("accuracy", "plain", "earthdial")
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
        self._shares = Shares(_SCENE_RULES, replicates=settings.replicates, seed=settings.seed)
        self._pairs: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, answer: Answer) -> float:
        """Count one answer; 1 where `accuracy` finds it right."""
        truth = _scene(answer)
        found, name = answer_key(answer.text), answer_key(truth)
        rights = (
            found == name,
            plain(answer.text) == plain(truth),
            plain(answer.text) == truth.lower(),
            answer.text.lower().replace(" ", "") == truth.lower().replace(" ", ""),
        )
        self._shares.add([(right, 1) for right in rights], [f"class/{name}"], answer.unit_name)
        self._pairs[name][found] += 1
        return float(rights[0])

    def result(self) -> Scored:
        """Figures, the share of the commonest class, and the confusion matrix {truth: {answer: count}}."""
        classes = self._shares.groups
        figures = {rule: self._shares.figure(rule) for rule in _SCENE_RULES}
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
        self._shares = Shares(_VQA_RULES, replicates=settings.replicates, seed=settings.seed)
        self._truths: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, answer: Answer) -> float:
        """Count one answer; 1 where `accuracy` finds it right."""
        truth = answer.label
        kind = answer.group("vqa_type", "category", "question_type", "type") or "untyped"
        counting = "count" in kind.lower() or "quantity" in kind.lower()
        name = answer_key(truth)
        rights = (
            answer_key(answer.text) == name,
            plain(answer.text) == plain(truth),
            answer.text.lower() == truth.lower(),
        )
        groups = [f"type/{kind}", *([] if counting else ["without_count"])]
        if name in _YES_NO:
            groups.append(f"{_YES_NO_OF}{kind}/{name}")
        self._shares.add([(right, 1) for right in rights], groups, answer.unit_name)
        self._truths[kind][name] += 1
        return float(rights[0])

    def result(self) -> Scored:
        """Figures, and what the commonest answer to each type of question would get."""
        types = [group for group in self._shares.groups if group.startswith("type/")]
        others = [name for name in types if "count" not in name.lower() and "quantity" not in name.lower()]
        figures: dict[str, Figure] = {}
        for rule in _VQA_RULES:
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
