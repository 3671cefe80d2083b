"""A dialect: syntax, frame rule and wordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from affine import Affine

from geochat.dialects.parsed import ParsedText, Region, merge_text
from geochat.dialects.reader import Reader
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import Named, Syntax
from geochat.errors import PromptError
from geochat.geometry import AngleConvention, ModelFrame, OrientedBox, transform_geometry
from geochat.geometry.frame import Layout
from geochat.prompts import Task

PLAIN: Mapping[Task, str] = {
    Task.CAPTION: "Describe the image.",
    Task.GROUNDING: "Describe the image in detail with the positions of the objects.",
    Task.IDENTIFY: "What is the object in",
}
"""Questions without words of one's own, for models of which no better ones are known."""


@dataclass(frozen=True, slots=True)
class Wordings:
    """The wording of each task.

    Attributes:
        tokens: The mark that opens a question of a task, for the tasks that have one.
        defaults: The question of each task that can be asked without words of one's own.
        templates: What is written around the user's words, which stand at "{}", and a part of it by which a question
            that is already so worded is recognised.
        region: Text around a region in a question; "{}" marks the region.
        system: The system prompt of each task that has one of its own.
    """

    tokens: Mapping[Task, str] = field(default_factory=dict)
    defaults: Mapping[Task, str] = field(default_factory=lambda: dict(PLAIN))
    templates: Mapping[Task, tuple[str, str]] = field(default_factory=dict)
    region: str = "{}"
    system: Mapping[Task, str] = field(default_factory=dict)

    def task_of(self, question: str) -> Task | None:
        """Return the task whose token begins `question`, if any."""
        opening = question.lstrip()
        return next((task for task, token in self.tokens.items() if opening.startswith(token)), None)

    def put(self, words: str, task: Task) -> str:
        """Insert the user's words into the task's wording; without words, return its default question.

        Raises:
            PromptError: There are no words and the task needs some.
        """
        if not words:
            if task not in self.defaults:
                raise PromptError(f"the question is empty; the task {task.value!r} needs words")
            return self.defaults[task]
        template, mark = self.templates.get(task, ("{}", ""))
        if mark and mark in words:
            return words
        if task is Task.SCENE:
            words = ", ".join(name.strip() for name in words.split(",") if name.strip())
        return template.replace("{}", words)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The prompt wordings and region format of one family of models.

    Attributes:
        name: Name in `geochat.json` and `--dialect`.
        syntax: Conversion of regions and phrases to text, and of text to events.
        wordings: Wordings of the tasks.
        model_frame: Over what the numbers lie, and the number at its far edge.
        angles: Direction and range of written angles.
        decimals: Digits written after the point.
        empty: Fixed answer of the model if the object is absent; None without one.
        source: Source of the facts about it.
    """

    name: str
    syntax: Syntax
    wordings: Wordings = field(default_factory=Wordings)
    model_frame: ModelFrame = field(default_factory=ModelFrame)
    angles: AngleConvention = field(default_factory=AngleConvention)
    decimals: int = 0
    empty: str | None = None
    source: str = ""

    def fitted(
        self, *, fit: Layout | None = None, size: int | None = None, angles: AngleConvention | None = None
    ) -> Self:
        """Return the dialect with a checkpoint's own settings; None keeps the dialect's.

        Args:
            fit: Conversion of an image to the model's input.
            size: Side in pixels of the square that it is padded or cropped to; nothing to dialects of other fits.
            angles: Direction and range of its angles.
        """
        frame = self.model_frame
        fit = frame.fit if fit is None else fit
        own_size = frame.size if size is None or fit not in ("pad", "crop") else size
        return replace(
            self, model_frame=replace(frame, fit=fit, size=own_size), angles=self.angles if angles is None else angles
        )

    def reader(self) -> Reader:
        """Create a reader for one answer that arrives in pieces."""
        return self.syntax.reader(self.angles)

    def parse(self, text: str) -> ParsedText:
        """Read a complete answer; never raises because of the model's text.

        Returns:
            The events, neighbouring `Text` joined; regions in the numbers the model writes, turned clockwise on screen.
        """
        reader = self.reader()
        return ParsedText(text, tuple(merge_text(reader.feed(text) + reader.close())))

    def write_box(self, box: Shape) -> str:
        """Write one region, given in the model's numbers.

        Raises:
            RegionError: It could not be read back.
        """
        return self.syntax.write([(None, [box])], self.angles, self.decimals, inline=True)

    def write(self, phrase: str | None, boxes: Sequence[Shape], *, inline: bool = False) -> str:
        """Write a phrase and its regions, given in the model's numbers; without a phrase, the regions alone.

        Args:
            phrase: What names the regions. Where the syntax has no marks for phrases it is left out, or stands before
                them as words if `inline`.
            boxes: The regions. Those the syntax has no angle for are written as the upright rectangles around them.
            inline: Whether it stands in a sentence; otherwise it is an answer of its own.

        Raises:
            RegionError: The phrase holds markup, or what would be written could not be read back.
        """
        return self.write_all([(phrase, boxes)], inline=inline)

    def write_all(self, groups: Sequence[Named], *, inline: bool = False) -> str:
        """Write several phrases with their regions; see `write`. An empty list gives the empty answer."""
        if not groups:
            return self.empty or ""
        return self.syntax.write(groups, self.angles, self.decimals, inline=inline)

    def rewrite(self, region: Region, shape: Shape) -> str:
        """Return the text that replaces a region's own (`Region.span`) after it has moved, its label kept.

        Args:
            region: As this dialect read it.
            shape: Its new shape, in the model's numbers.
        """
        inside = region.phrase_span is not None and region.span[0] <= region.phrase_span[0] < region.span[1]
        return self.syntax.region(shape, region.phrase if inside else None, self.angles, self.decimals)

    def carried(self, shape: Shape, affine: Affine) -> Shape:
        """Apply an affine map to a region; the result is in this dialect's numbers.

        A box remains a box if the dialect writes angles. Otherwise its corners are mapped, which a stretching map turns
        into those of a parallelogram.
        """
        if isinstance(shape, OrientedBox):
            if self.syntax.order.turned:
                return shape.transform(affine)
            shape = shape.polygon()
        return transform_geometry(shape, affine)

    def keeps_area(self, box: Shape) -> bool:
        """Return whether a region in the model's numbers keeps an area when it is written; True for points."""
        regions = self.parse(self.write_box(box)).regions
        return bool(regions) and (regions[0].box.area > 0 or regions[0].geometry is not None)

    def task_of(self, question: str) -> Task | None:
        """Return the task whose token begins `question`, if any."""
        return self.wordings.task_of(question)

    def compose(self, question: str, task: Task | None = None, boxes: Sequence[Shape] = ()) -> str:
        """Write the user's text for a question, in the wording of its task.

        Args:
            question: What is asked. May already open with a task token. For `Task.REFER` it is the referring
                expression, for `Task.SCENE` the classes separated by commas; where the task has a default question it
                may be empty. Full questions in the task's wording pass unchanged.
            task: None takes the task from the question's token; a question with a region and no token becomes
                `Task.IDENTIFY`, because that is the token that makes the model look at a region.
            boxes: The regions of the question, in the model's numbers. They follow the question's words.

        Raises:
            PromptError: The question is empty where words are needed, opens with another task's token, or the task
                needs a region and none is given.
        """
        question = question.strip()
        opened_with = self.task_of(question)
        if task is None:
            task = opened_with or (Task.IDENTIFY if boxes else Task.CHAT)
        elif opened_with not in (None, task):
            raise PromptError(
                f"the question opens with {self.wordings.tokens[opened_with]} but the task is {task.value!r}; "
                "drop one of the two"
            )
        token = self.wordings.tokens.get(task, "")
        words = question.removeprefix(token).strip() if token else question
        if not words or opened_with is None:
            words = self.wordings.put(words, task)
        text = f"{token} {words}".strip()
        if boxes:
            return f"{text} {' '.join(map(self._asked, boxes))}"
        if task is Task.IDENTIFY and not self.parse(text).regions:
            raise PromptError("the task 'identify' asks about a region and none was given; give one")
        return text

    def _asked(self, box: Shape) -> str:
        return self.wordings.region.replace("{}", self.write_box(box))
