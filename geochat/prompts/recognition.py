"""Recognition of questions: free text to a checkpoint's trained wording.

A checkpoint trained on templates understands its templates and answers anything else with noise. Here a question is
parsed by patterns (`intents`) or by the words in it (`keywords`), and converted to the trained wording of its task; one
without a trained equivalent gets a one-sentence answer. Every function is total: no text makes it raise. Apart from
normalisation, only the first 400 characters of a question are read, except for lists of classes.
"""

from dataclasses import replace

from geochat.prompts import intents
from geochat.prompts.expressions import Expression, Unknown, read_expression
from geochat.prompts.intents import (
    CHOICES,
    ENDINGS,
    FOLLOWING,
    MORE,
    NOTES,
    OPENINGS,
    POLITE,
    PUBLISHED,
    SHORTHAND,
    TASKS,
    WORDINGS,
    Kind,
)
from geochat.prompts.keywords import clauses, read_keywords
from geochat.prompts.marks import PHRASE, REGION, trimmed, without_marks
from geochat.prompts.phrases import match_choice, normalise, plural, quoted, with_article
from geochat.prompts.spelling import respelled
from geochat.prompts.synonyms import DETERMINERS
from geochat.prompts.tasks import Task
from geochat.prompts.vocabulary import OutOfScope, Recognised, Vocabulary, abilities, offered_classes, trained_names

_CLASSIFY = "Classify the image within one of the given classes: "
_LONGEST = 400  # characters that are read
_WHOLE = frozenset({Kind.COUNT, Kind.PRESENCE, Kind.COMPARISON})  # never of some objects of a category
_ONE = frozenset({Kind.POSITION, Kind.COLOUR})  # of a single object


def recognise(
    question: str,
    vocabulary: Vocabulary,
    *,
    has_regions: bool = False,
    task: Task | None = None,
    previous: Recognised | None = None,
) -> Recognised | OutOfScope:
    """Recognise a question as one that the checkpoint was trained on.

    Args:
        question: As it was typed; a task token or the published suffix of a task says which task is meant.
        vocabulary: Vocabulary of the checkpoint.
        has_regions: Whether regions are given beside the question. Those in its text are seen.
        task: The task the user chose. Then a question is out of scope only for things that the checkpoint does not
            know; one that no wording of the task fits passes as it is.
        previous: The question before, for "and ships?" and "where are they?".
    """
    return _Reading(question, vocabulary, has_regions=has_regions, task=task, previous=previous).result()


class _Reading:
    """A question being recognised.

    Attributes:
        text: The question without task token, suffix and regions, as it was typed.
        words: Its normalised words without politeness, the picture called "image".
        objects: These without "in image" and "and what about", for questions about objects.
    """

    def __init__(
        self,
        question: str,
        vocabulary: Vocabulary,
        *,
        has_regions: bool = False,
        task: Task | None = None,
        previous: Recognised | None = None,
        whole: bool = True,
    ) -> None:
        text, typed = without_marks(question.strip())
        self.clash = question if task and typed not in {None, task} else ""
        self.regions = tuple(REGION.findall(text))
        phrase = PHRASE.search(text)
        self.task = task or typed or (Task.REFER if phrase else None)
        self.text = phrase[1].strip() if phrase else REGION.sub(" ", text).strip()
        self.has_regions = has_regions or bool(self.regions)
        self.vocabulary, self.previous, self.whole = vocabulary, previous, whole
        words = " ".join(SHORTHAND.get(word, word) for word in normalise(self.text[:_LONGEST]).split())
        words = respelled(words, vocabulary.categories)
        self.asks_any = bool(intents.ASKS_ANY.search(words))
        self.words = trimmed(intents.THE_IMAGE.sub("image", words), OPENINGS, POLITE)
        continued = trimmed(self.words, FOLLOWING, ())
        self.follows = continued != self.words
        self.objects = trimmed(intents.IN_IMAGE.sub("", continued), OPENINGS, POLITE)

    def result(self) -> Recognised | OutOfScope:
        found = self._within(self.task) if self.task else self._open()
        if isinstance(found, OutOfScope):
            return found
        if self.task is None and self.vocabulary.tasks and found.task not in self.vocabulary.tasks:
            return self._refused(f'I was not trained for the task "{found.task.value}"')
        return replace(found, note="") if found.words and normalise(found.words) == normalise(self.text) else found

    def _within(self, task: Task) -> Recognised | OutOfScope:
        """Recognise a question of a task that the user chose."""
        as_it_is = Recognised(task, self.clash or self.text)
        if self.clash or task is Task.CHAT:
            return as_it_is
        if task in PUBLISHED:
            return self._whole(Kind(task.value))
        if task is Task.SCENE:
            return self._scene(offered_classes(self.text, self.vocabulary.scene_classes, chosen=True))
        if not self.text:
            return as_it_is
        if task is Task.REFER:
            return self._about_objects() or self._asked(Kind.REFER, self.objects)
        return self._about_objects() or self._phrase() or as_it_is

    def _open(self) -> Recognised | OutOfScope:
        """Recognise a question without a chosen task, by patterns, else by keywords."""
        if self.has_regions:
            return self._about_region()
        if intents.ABOUT_ME.match(self.words):
            return OutOfScope(f"{abilities(self.vocabulary)}.")  # to a greeting, or a question about the model
        readers = (
            self._classes, self._about_image, self._is_this, self._about_objects,
            lambda: self._classes(bare=True), self._follow_up, self._phrase,
        )  # fmt: skip
        found = next((found for reader in readers if (found := reader())), None)
        foreign = any(letter.isalpha() and not letter.isascii() for letter in self.words)
        refusal = found or self._refused("I understand English only" if foreign else "I cannot answer that")
        if isinstance(found, Recognised):
            return found
        return self._keywords() or (self._clause() if self.whole else None) or refusal

    def _about_region(self) -> Recognised | OutOfScope:
        """Recognise a question about a region, which can only be about its content."""
        if not self.text or any(pattern.match(self.words) for _, pattern in intents.ABOUT_REGION):
            return self._whole(Kind.IDENTIFY)
        return self._refused("with a marked region I only name the object in it, so ask about the image without one")

    def _classes(self, *, bare: bool = False) -> Recognised | OutOfScope | None:
        """Recognise a choice between classes, at least one of which must be known."""
        known = self.vocabulary.scene_classes
        offered = offered_classes(self.text, known, bare=bare)
        if len(offered) < 2:
            return None
        if any(match_choice(name, known) for name in offered):
            return self._scene(offered)
        return self._refused(f"I do not know {' or '.join(quoted(normalise(name)) for name in offered[:3])}")

    def _about_image(self) -> Recognised | OutOfScope | None:
        kind = next((kind for kind, pattern in intents.ABOUT_IMAGE if pattern.match(self.words)), None)
        return None if kind is None else self._scene(()) if kind is Kind.SCENE else self._whole(kind)

    def _is_this(self) -> Recognised | OutOfScope | None:
        """Recognise "is this a harbor?" as a question about the kind of place, "is this a ship?" as one about ships."""
        if not (found := intents.IS_THIS.match(self.words)):
            return None
        thing = self._expression(found["x"])
        if isinstance(thing, Expression):
            return self._asked(Kind.PRESENCE, found["x"])
        if match_choice(found["x"], self.vocabulary.scene_classes):
            return self._scene(())
        return self._refused(thing.reason) if found["article"] else None

    def _about_objects(self) -> Recognised | OutOfScope | None:
        """Return the first matching pattern about objects that belongs to the task."""
        for said, pattern in intents.ABOUT_OBJECTS:
            found = pattern.match(self.objects)
            kind = self._fitting(said)
            if found and (self.task is None or TASKS[kind] is self.task):
                groups = found.groupdict()
                ranked = f"the {groups['rank']} {groups['x']}" if groups.get("rank") else groups["x"]
                return self._asked(kind, ranked, groups.get("y") or "", groups.get("word") or "")
        return None

    def _fitting(self, kind: Kind) -> Kind:
        """Return the kind as which a question is asked: "where" is answered with boxes, except for `Task.VQA`."""
        if kind is Kind.REFER and self.asks_any and self.task is None:
            return Kind.PRESENCE
        if kind in {Kind.REFER, Kind.POSITION}:
            return Kind.POSITION if self.task is Task.VQA else Kind.REFER
        return Kind.REFER if self.task is Task.REFER and kind in {Kind.COUNT, Kind.PRESENCE} else kind

    def _follow_up(self) -> Recognised | OutOfScope | None:
        """Recognise "and ships?" as a repetition of the previous question."""
        kind = self.previous.kind if self.previous else None
        if kind is None or TASKS[kind] not in {Task.VQA, Task.REFER} or kind is Kind.COMPARISON:
            return None
        found = self._expression(self.objects)
        if isinstance(found, Unknown):
            return self._not_known(kind, found) if self.follows else None
        return self._asked(kind if found.plain or kind in _ONE else Kind.REFER, self.objects)

    def _phrase(self) -> Recognised | OutOfScope | None:
        """Recognise a noun phrase alone: "ships?" asks for presence, "the largest ship" for its location."""
        found = self._expression(self.objects)
        if isinstance(found, Unknown):
            named = self.objects.partition(" ")[0] in DETERMINERS or (" " in self.objects and not found.noun)
            return self._not_known(Kind.PRESENCE, found) if named and not self.task else None
        asks = self.task is Task.VQA or (found.plain and self.text.endswith("?"))
        return self._asked(Kind.PRESENCE if asks else Kind.REFER, self.objects)

    def _keywords(self) -> Recognised | None:
        """Recognise a question by its keywords."""
        if not (read := read_keywords(self.words, self.vocabulary)):
            return None
        if read.phrase:
            counts = read.kind is Kind.PRESENCE and intents.LIMIT.search(self.words)
            found = self._asked(Kind.COUNT if counts else read.kind, read.phrase, read.other, read.word)
        else:
            found = self._scene(()) if read.kind is Kind.SCENE else self._whole(read.kind)
        if isinstance(found, OutOfScope):
            return None
        return replace(found, note=f"{found.note}, not only {quoted(read.place)}") if read.place else found

    def _clause(self) -> Recognised | None:
        """Recognise the only question in several clauses, of which another one may mention the object."""
        asked: dict[bool, list[Recognised]] = {True: [], False: []}
        for clause in clauses(self.text[:_LONGEST], self.vocabulary):
            about = Recognised(Task.VQA, "", category=clause.category) if clause.category else self.previous
            read = (_Reading(way, self.vocabulary, previous=about, whole=False).result() for way in clause.ways)
            found = next((way for way in read if isinstance(way, Recognised)), None)
            if found is None and clause.foreign:
                return None
            if found and found not in asked[clause.asks]:
                asked[clause.asks].append(found)
        several = asked[True] or asked[False]
        return several[0] if len(several) == 1 else None

    def _expression(self, words: str) -> Expression | Unknown:
        return read_expression(
            trimmed(words.strip(), (), ENDINGS),
            self.vocabulary.categories,
            colours=self.vocabulary.colours,
            default=self.previous.category if self.previous else "",
        )

    def _asked(self, kind: Kind, words: str, other: str = "", word: str = "") -> Recognised | OutOfScope:
        """Return the trained question of a kind about the object that `words` name, or the reason why there is none."""
        first = self._expression(words)
        second = self._expression(other) if other else first
        if isinstance(first, Unknown):
            return self._not_known(kind, first)
        if isinstance(second, Unknown):
            return self._not_known(kind, second)
        if kind in _WHOLE and not (first.plain and second.plain):
            return self._refused(f"I count {plural(first.category)} in the whole image, not some of them")
        if kind is Kind.COMPARISON and first.category == second.category:
            return self._refused(f"I do not tell {quoted(words)} from {quoted(other)}")
        if kind is Kind.COLOUR and not (self.vocabulary.colours or self.task):
            return self._refused("I cannot tell colors")
        asked = WORDINGS[kind].format(
            phrase=replace(first, many=first.many and kind not in _ONE).phrase,
            one=with_article(first.category),
            many=plural(first.category),
            others=plural(second.category),
            word="more" if word in MORE else "fewer",
        )
        note = f'understood as a search for "{asked}"' if kind is Kind.REFER else f'understood as "{asked}"'
        choices = self.vocabulary.colours if kind is Kind.COLOUR else CHOICES.get(kind, ())
        return Recognised(TASKS[kind], asked, choices, note, kind, first.category)

    def _not_known(self, kind: Kind, unknown: Unknown) -> Recognised | OutOfScope:
        """Return the answer about an unknown category, which may be a kind of place."""
        if not match_choice(unknown.noun, self.vocabulary.scene_classes):
            return self._refused(unknown.reason)
        if kind is Kind.PRESENCE and self.task is None:
            return self._scene(())
        return self._refused(f"I know {quoted(unknown.noun)} only as a kind of place")

    def _whole(self, kind: Kind) -> Recognised:
        """Return the published question of a task about the image or a region."""
        task = TASKS[kind]
        words = " ".join((PUBLISHED[task], *self.regions)) if self.regions else ""
        exact = normalise(self.text) in {"", normalise(PUBLISHED[task])}
        return Recognised(task, words, note="" if exact else NOTES[kind], kind=kind)

    def _scene(self, offered: tuple[str, ...]) -> Recognised | OutOfScope:
        """Return the question about the kind of place, among the offered classes or all known ones."""
        choices = offered or self.vocabulary.scene_classes
        if not choices:
            return self._refused("I know no kinds of place")
        names = trained_names(choices, self.vocabulary.scene_classes)
        renamed = [
            f'"{ours}" for "{theirs}"'
            for ours, theirs in zip(names, choices, strict=True)
            if normalise(ours) != normalise(theirs)
        ]
        note = f"understood as the question which of {len(choices)} kinds of place this is"
        note += f", asked as {', '.join(renamed)}" if renamed else ""
        exact = self.text.startswith(_CLASSIFY) and not renamed
        return Recognised(Task.SCENE, ", ".join(names), choices, "" if exact else note, Kind.SCENE)

    def _refused(self, reason: str) -> OutOfScope:
        return OutOfScope(f"{reason[:1].upper()}{reason[1:]}: {abilities(self.vocabulary)}.")
