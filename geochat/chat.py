"""The façade: `GeoChat`, the main entry point of the library."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack, cast, overload

from geochat.assistant.answer import Answer
from geochat.assistant.batch import answer_each
from geochat.assistant.conversation import AnswerStream, Conversation
from geochat.assistant.question import AskOptions, Question, QuestionOptions, ViewOptions
from geochat.engines import Engine
from geochat.engines.registry import EngineOptions, open_engine
from geochat.errors import GeoChatError, ImageError
from geochat.imagery import GeoImage, ImageSource, Scene, open_image

if TYPE_CHECKING:
    from geochat.engines import EngineLimits
    from geochat.find import Finding, FindOptions, Survey, SurveyOptions

ImageLike = ImageSource | GeoImage
Pair = tuple[ImageLike, str | Question]


class GeoChat:
    """Answers questions about images with an engine.

    >>> chat = GeoChat.from_pretrained()
    >>> answer = chat.ask("scene.tif", "[grounding] Describe the image.")
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | None = None,
        *,
        base: str | Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        quantization: str | None = None,
        allow_download: bool = False,
        limits: "EngineLimits | None" = None,
    ) -> Self:
        """Load a checkpoint into this process.

        Args:
            source: A directory or hub id; None takes the model that ships with the package.
            base: Base of an adapter; None uses the base that it names.
            device: Such as "cpu" or "cuda:1"; None takes the best there is.
            dtype: Such as "float32"; None takes the device's usual one.
            quantization: "4bit" or "8bit" to quantise the language model.
            allow_download: Whether what a local folder names, the base of an adapter or a vision tower, may be fetched
                from the hub.
            limits: Limits of the batch and of the cache between questions.

        Raises:
            CheckpointError: There is no such checkpoint or it is damaged.
            SettingsError: The device, dtype or quantization does not exist here.
        """
        options = EngineOptions(
            source,
            base=base,
            device=device,
            dtype=dtype,
            quantization=quantization,
            allow_download=allow_download,
            limits=limits,
        )
        return cls(open_engine("local", options))

    def find(
        self, scene: ImageSource | Scene, phrases: str | Sequence[str], **options: "Unpack[FindOptions]"
    ) -> "Finding":
        """Find objects in a whole scene, window by window, each object once.

        >>> finding = chat.find("scene.tif", ["ships", "storage tanks"], job="ports.job")
        >>> for each in finding:
        ...     print(each.phrase, each.score, each.map)
        >>> finding.save("ships.gpkg")

        Args:
            scene: A path, an array, a Pillow image, or a scene already opened.
            phrases: Phrases of the objects to find.
            options: Windows, job and limits; see `geochat.find.FindOptions`.

        Returns:
            An iterator of objects, which computes, with the layer that they make.

        Raises:
            GeoChatError: As `geochat.find.Finding`.
        """
        from geochat.find import Finding  # noqa: PLC0415 - questions about one view do without

        opened = scene if isinstance(scene, Scene) else Scene.open(scene)
        return Finding(self.engine, opened, [phrases] if isinstance(phrases, str) else phrases, **options)

    def survey(
        self,
        scene: ImageSource | Scene,
        asks: Sequence[str] = (),
        *,
        classes: Sequence[str] | None = None,
        **options: "Unpack[SurveyOptions]",
    ) -> "Survey":
        """Describe a whole scene, window by window: caption, scene class, answers to questions.

        >>> survey = chat.survey("scene.tif", ["Is there water?"])
        >>> for each in survey:
        ...     print(each.window, each.values["scene"], each.values["is_there_water"])
        >>> survey.save("grid.gpkg")

        Args:
            scene: As in `find`.
            asks: Questions about each window.
            classes: Scene classes; None takes those that the model knows.
            options: Windows and job; see `geochat.find.SurveyOptions`.

        Returns:
            An iterator of answers window by window, which computes, with the layer that they make.

        Raises:
            GeoChatError: As `geochat.find.Survey`.
        """
        from geochat.find import Survey, survey_questions  # noqa: PLC0415 - questions about one view do without

        opened = scene if isinstance(scene, Scene) else Scene.open(scene)
        known = self.engine.info.settings.scene_classes if classes is None else classes
        return Survey(self.engine, opened, survey_questions(asks, known), **options)

    def start(self, image: ImageLike, **view: Unpack[ViewOptions]) -> Conversation:
        """Open an image and start a conversation about it.

        Args:
            image: A path, an array, a Pillow image, or an image already opened.
            view: Options of the view; see `ViewOptions`.

        Raises:
            ImageError: The image cannot be read or has no such window or bands, or it is already opened and a
                window, bands or a stretch is asked for.
        """
        if isinstance(image, GeoImage):
            if view:
                raise ImageError("the image is already opened; give window, bands and stretch to open_image instead")
            opened = image
        else:
            opened = open_image(image, **view)
        return Conversation(self.engine, opened)

    def ask(self, image: ImageLike, question: str | Question, **options: Unpack[AskOptions]) -> Answer:
        """Ask one question about an image.

        Args:
            image: As in `start`.
            question: The question.
            options: Further options of the question (see `Question`), and those of the view.

        Raises:
            GeoChatError: As in `start` and `Conversation.stream`.
        """
        return self.stream(image, question, **options).wait()

    def stream(self, image: ImageLike, question: str | Question, **options: Unpack[AskOptions]) -> AnswerStream:
        """Ask one question and read the answer while it is being written; see `ask`."""
        view, rest = _split(options)
        return self.start(image, **view).stream(question, **rest)

    def cancel(self, question_id: str) -> None:
        """Stop computing a question; its answer keeps the text generated so far.

        May be called from another thread, also before the question's computation has started.
        """
        self.engine.cancel(question_id)

    @overload
    def ask_many(
        self, image: ImageLike, questions: Iterable[str | Question], **options: Unpack[QuestionOptions]
    ) -> list[Answer | GeoChatError]: ...

    @overload
    def ask_many(self, pairs: Iterable[Pair], /, **options: Unpack[QuestionOptions]) -> list[Answer | GeoChatError]: ...

    def ask_many(
        self,
        image: ImageLike | Iterable[Pair],
        questions: Iterable[str | Question] | None = None,
        **options: Unpack[QuestionOptions],
    ) -> list[Answer | GeoChatError]:
        """Ask many questions, several at a time.

        >>> chat.ask_many("scene.tif", ["How many planes are there?", "Is there a ship?"])
        >>> chat.ask_many([("a.tif", "What is this?"), ("b.tif", Question("What is this?", regions=(10, 10, 50, 40)))])

        Each question is independent and gets the same answer as from `ask`. An image is read once for all its
        questions.

        Args:
            image: The image they are about, or pairs of an image and a question. Give an image opened by `open_image`
                to choose a window, bands or a stretch.
            questions: None where pairs are given.
            options: Default options of questions without their own.

        Returns:
            One result a question, in order: its answer, or the error that kept it from one, which leaves the others
            alone.

        Raises:
            ImageError: The one image cannot be read.
        """
        results = dict(self._each(image, questions, options))
        return [results[number] for number in range(len(results))]

    @overload
    def ask_each(
        self, image: ImageLike, questions: Iterable[str | Question], **options: Unpack[QuestionOptions]
    ) -> Iterator[tuple[int, Answer | GeoChatError]]: ...

    @overload
    def ask_each(
        self, pairs: Iterable[Pair], /, **options: Unpack[QuestionOptions]
    ) -> Iterator[tuple[int, Answer | GeoChatError]]: ...

    def ask_each(
        self,
        image: ImageLike | Iterable[Pair],
        questions: Iterable[str | Question] | None = None,
        **options: Unpack[QuestionOptions],
    ) -> Iterator[tuple[int, Answer | GeoChatError]]:
        """Yield number and result of each question of `ask_many` as soon as available, in order of completion.

        Questions, and the images of pairs, are taken a few batches at a time, so there may be any number of them.
        Leaving the loop ends the computation.
        """
        return self._each(image, questions, options)

    def _each(
        self,
        image: ImageLike | Iterable[Pair],
        questions: Iterable[str | Question] | None,
        options: QuestionOptions,
    ) -> Iterator[tuple[int, Answer | GeoChatError]]:
        if questions is None:
            asked = self._opened(cast(Iterable[Pair], image))
        else:
            conversation = self.start(cast(ImageLike, image))
            asked = ((conversation, question) for question in questions)
        return answer_each(self.engine, asked, options)

    def _opened(self, pairs: Iterable[Pair]) -> Iterator[tuple[Conversation | GeoChatError, str | Question]]:
        for image, question in pairs:
            try:
                yield self.start(image), question
            except GeoChatError as error:
                yield error, question


def _split(options: AskOptions) -> tuple[ViewOptions, QuestionOptions]:
    """Separate options of the view from those of the question."""
    names = ViewOptions.__annotations__
    view = {name: value for name, value in options.items() if name in names}
    rest = {name: value for name, value in options.items() if name not in names}
    return cast(ViewOptions, view), cast(QuestionOptions, rest)
