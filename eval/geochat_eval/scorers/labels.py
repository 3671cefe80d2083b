"""Scoring of answers that are one label: scene classes, short answers, existence, and the category of a region.

Rules of scenes and questions, each the share of answers equal to the truth after both have been changed as said:

- `accuracy`: numbers as numbers, words whatever their case and the marks around them (`geochat_eval.scorers.labels`).
- `plain`: lower case, spaces and full stops removed, which makes "1.5" of "15". It is what `accuracy` was before
  numbers were compared, and how the published GeoChat scene scorer changes answers.
- `geochat` (scenes): the answer so changed against the truth in lower case only, as that scorer compares; differs from
  `plain` where the names of classes hold spaces or full stops.
- `earthdial`: lower case; for scenes spaces removed too.

`accuracy/macro` is the mean over classes or types, `accuracy/without_count` leaves questions for a number out
(types that hold "count" or "quantity"), `accuracy/without_count_macro` is the mean over the types left.
`accuracy/balanced/TYPE` is the mean over the true answers to a type of question, where these are yes and no: 50 for
a model that always gives the same answer.

Existence, where the truth is yes or no. An answer says yes when it holds a box or its first word is "yes".

- `accuracy`: correct answers; `accuracy/present` and `accuracy/absent` where the truth is yes and no.
- `balanced_accuracy`: the mean of the two, 50 for a model that always gives the same answer.

Identify, where the truth is the category of a region, compared by `same_answer`.

- `accuracy`, by category (`accuracy/category/NAME`) and as the mean over categories (`accuracy/macro`).
- `pairs_right`: pairs of questions about two regions of one image (lines of one `pair`) with both answers correct, out
  of all pairs: the answers are exchanged when the regions are.
- `pairs_unmoved`: pairs in which both got the same answer, out of all pairs: the region made no difference.

`same_answer` decides whether two short answers are equal:

1. Both are without the spaces, quotes, brackets, asterisks and marks `. , ; : ! ?` at their ends: "Yes." and "yes!".
2. Numbers are compared as numbers, with or without commas between thousands: "3.0" is 3, "1,000" is 1000, and "1.5" is
   not 15. Numbers in words stay words, and so does a number with anything beside it ("3 cars").
3. Anything else is compared in lower case without spaces and without full stops that no digit follows.
"""

import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.formats import AnswerRecord
from geochat_eval.scorers.base import Scored, ScorerSettings

_SCENE_RULES = ("accuracy", "plain", "geochat", "earthdial")
_VQA_RULES = ("accuracy", "plain", "earthdial")
_SPLIT = "/"
_MAX_CLASSES = 1000  # of which a confusion matrix is kept
_NO_CLASS = "(no class)"
_YES_NO = {"yes", "no"}
_YES_NO_OF = "yes or no/"
_YES = re.compile(r"\W*yes\b", re.IGNORECASE)
_EXISTENCE = {"yes": "present", "no": "absent"}


def plain(text: str) -> str:
    """Convert to lower case without spaces and full stops."""
    return text.lower().replace(" ", "").replace(".", "").strip()


class SceneScorer:
    """Scene classification: accuracy, by class, and the confusion matrix.

    The truth is the line's, or the part of `question_id` before the first slash, as in the original's files.
    """

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(_SCENE_RULES, replicates=settings.replicates, seed=settings.seed)
        self._pairs: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns 1 if it is right by `accuracy`."""
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
        """Return figures, the share of the most frequent class, and the confusion matrix {truth: {answer: count}}."""
        classes = self._shares.groups
        figures = {rule: self._shares.figure(rule) for rule in _SCENE_RULES}
        figures["accuracy/macro"] = self._shares.mean("accuracy", classes)
        figures |= {f"accuracy/{name}": self._shares.figure("accuracy", name) for name in classes}
        sizes = {truth: found.total() for truth, found in self._pairs.items()}
        majority = 100 * max(sizes.values()) / sum(sizes.values())
        return Scored(figures, {"majority/accuracy": majority}, {"confusion": self._confusion()})

    def _confusion(self) -> dict[str, dict[str, int]]:
        """Count answers by true class; answers that name no true class are counted together."""
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

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns 1 if it is right by `accuracy`."""
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
        """Return figures, and the baseline of the most frequent answer to each type of question."""
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


class ExistenceScorer:
    """Presence and absence of objects."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(("accuracy",), replicates=settings.replicates, seed=settings.seed)

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns 1 if it is right."""
        truth = _EXISTENCE.get(answer_key(answer.label))
        if truth is None:
            raise ValueError("its ground truth is neither yes nor no")
        says_yes = bool(answer.grounded.boxes) or bool(_YES.match(answer.text))
        right = float(says_yes == (truth == "present"))
        self._shares.add([(right, 1)], [truth], answer.unit_name)
        return right

    def result(self) -> Scored:
        """Return figures, and the baseline of always giving the more frequent answer."""
        groups = self._shares.groups
        figures: dict[str, Figure] = self._shares.figures()
        figures["balanced_accuracy"] = self._shares.mean("accuracy", groups)
        sizes = [self._shares.figure("accuracy", group).n for group in groups]
        return Scored(figures, {"majority/accuracy": 100 * max(sizes) / sum(sizes)})


class IdentifyScorer:
    """Categories of regions, and of pairs of regions of one image."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(("accuracy",), replicates=settings.replicates, seed=settings.seed)
        self._pairs = Shares(("pairs_right", "pairs_unmoved"), replicates=settings.replicates, seed=settings.seed)
        self._waiting: dict[str, tuple[str, bool]] = {}  # the first answer of a pair, and whether it was right
        self._truths: Counter[str] = Counter()

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns 1 if it is right."""
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
        """Return figures, and the baseline of always naming the most frequent category."""
        figures: dict[str, Figure] = {"accuracy": self._shares.figure("accuracy")}
        figures["accuracy/macro"] = self._shares.mean("accuracy", self._shares.groups)
        figures |= {f"accuracy/{name}": self._shares.figure("accuracy", name) for name in self._shares.groups}
        figures |= self._pairs.figures()
        majority = 100 * max(self._truths.values()) / self._truths.total()
        return Scored(figures, {"majority/accuracy": majority})


def _majorities(truths: dict[str, Counter[str]]) -> dict[str, float]:
    """Return the percentage correct if each type of question always gets its most frequent answer."""
    right = {kind: counts.most_common(1)[0][1] for kind, counts in truths.items()}
    total = {kind: counts.total() for kind, counts in truths.items()}
    by_type = {f"majority/accuracy/type/{kind}": 100 * right[kind] / total[kind] for kind in sorted(truths)}
    return {"majority/accuracy": 100 * sum(right.values()) / sum(total.values()), **by_type}


def _scene(answer: AnswerRecord) -> str:
    if answer.truth is not None:
        return answer.label
    question: Any = answer.fields.get("question_id")
    if isinstance(question, str) and _SPLIT in question:
        return question.split(_SPLIT)[0]
    return answer.label


_ENDS = " \t\r\n\"'`*()[]“”‘’"
_MARKS = ".,;:!?…"
_NUMBER = re.compile(
    r"[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,5}|[0-9]{1,20})(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?"
)
_FULL_STOP = re.compile(r"\.(?![0-9])")


def answer_key(text: str) -> str:
    """Return a key that is equal for equal answers; empty for an empty answer."""
    bare = text.strip(_ENDS).rstrip(_ENDS + _MARKS)
    if _NUMBER.fullmatch(bare):
        return _number(bare)
    bare = bare.lstrip(_ENDS + _MARKS)
    return "".join(_FULL_STOP.sub("", bare.lower()).split())


def same_answer(first: str, second: str) -> bool:
    """Return whether two answers are equal."""
    return answer_key(first) == answer_key(second)


def _number(text: str) -> str:
    value = Decimal(text.replace(",", ""))
    return format(value.normalize(), "f") if value else "0"
