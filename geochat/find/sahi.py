"""SAHI detector based on a grounded model; needs the extra "sahi".

>>> from sahi.predict import get_sliced_prediction
>>> detector = GeoChatDetectionModel(["ships"], model=chat.engine)
>>> result = get_sliced_prediction("scene.png", detector, slice_height=512, slice_width=512)

SAHI holds the image in memory and suppresses upright boxes, also for oblique objects. `GeoChat.find` does neither.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from sahi.models.base import DetectionModel
from sahi.prediction import ObjectPrediction

from geochat.assistant import Answer, Conversation, Question
from geochat.assistant.batch import answer_each
from geochat.engines import Engine, GenerationSettings
from geochat.engines.registry import EngineOptions, open_engine
from geochat.errors import GeoChatError, PromptError
from geochat.find.limiting import BoxLimit
from geochat.geometry import OrientedBox
from geochat.imagery import open_image
from geochat.prompts import Task

_MOST = 100  # boxes of one answer


class GeoChatDetectionModel(DetectionModel):
    """A `sahi.models.base.DetectionModel` that finds the objects that phrases name.

    Each phrase is a category, numbered in order. A box is a prediction with its upright rectangle as `bbox` and its
    corners as `mask`, as for SAHI's other oriented detectors. Without scores from the engine, predictions have the
    score 1, because SAHI requires one.

    Args:
        phrases: Phrases of the objects to find.
        max_boxes: Boxes of a phrase in one slice at most.
        raw: Whether phrases go to the model unchanged; see `geochat.find.FindOptions`.
        options: Of `DetectionModel`: `model` is an engine, such as `GeoChat.engine`; without it `model_path` is loaded,
            a checkpoint or None for the bundled one, onto `device`. `confidence_threshold` is the least score.

    Raises:
        PromptError: There is no phrase.
        GeoChatError: The checkpoint cannot be loaded.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        *,
        max_boxes: int = _MOST,
        raw: bool = False,
        **options: Any,  # noqa: ANN401 - SAHI's
    ) -> None:
        if not phrases:
            raise PromptError('there is nothing to find; name something, such as "ships"')
        self.phrases = tuple(phrases)
        self._most, self._raw = max_boxes, raw
        self._found: list[tuple[int, OrientedBox, float]] = []
        self._size = (0, 0)
        mapping = {str(number): phrase for number, phrase in enumerate(self.phrases)}
        super().__init__(**{"category_mapping": mapping, **options})

    def load_model(self) -> None:
        """Load the checkpoint `model_path`."""
        self.set_model(open_engine("local", EngineOptions(self.model_path, device=str(self.device))))

    def set_model(self, model: Engine, **_: Any) -> None:  # noqa: ANN401 - as SAHI calls it
        """Set an engine."""
        self.model = BoxLimit(model, self._most)

    def perform_inference(self, image: np.ndarray) -> None:
        """Find all phrases in a slice.

        Args:
            image: RGB (H, W, 3), 8 bit.

        Raises:
            GeoChatError: The slice cannot be read, or the model gives no answer.
        """
        view = open_image(np.ascontiguousarray(image))
        conversation = Conversation(self.model, view)
        questions = [
            Question(phrase, task=Task.REFER, raw=self._raw, generation=GenerationSettings()) for phrase in self.phrases
        ]
        self._found, self._size = [], (view.width, view.height)
        for number, answer in answer_each(self.model, ((conversation, each) for each in questions), {}):
            if isinstance(answer, GeoChatError):
                raise answer
            self._found += [(number, *each) for each in _boxes(answer)]
        self._original_predictions = self._found

    @property
    def num_categories(self) -> int:
        """The number of phrases."""
        return len(self.phrases)

    @property
    def has_mask(self) -> bool:
        """True: predictions have masks, which hold their oriented boxes."""
        return True

    @property
    def category_names(self) -> list[str]:
        """The phrases."""
        return list(self.phrases)

    def _create_object_prediction_list_from_original_predictions(
        self,
        shift_amount_list: Any = None,  # noqa: ANN401 - as SAHI calls it
        full_shape_list: Any = None,  # noqa: ANN401 - as SAHI calls it
    ) -> None:
        shift, shape = _first(shift_amount_list) or [0, 0], _first(full_shape_list)
        found = (self._prediction(*each, shift=shift, shape=shape) for each in self._found)
        self._object_prediction_list_per_image = [[each for each in found if each is not None]]

    def _prediction(
        self, number: int, box: OrientedBox, score: float, *, shift: list[int], shape: list[int] | None
    ) -> ObjectPrediction | None:
        """Convert one box to a prediction; None if it lies outside the slice or its score is too low."""
        part = box.polygon().intersection(shapely.box(0, 0, *self._size))
        if score < self.confidence_threshold or part.area == 0:
            return None
        corners = [float(value) for point in part.exterior.coords[:-1] for value in point]
        return ObjectPrediction(
            bbox=[float(value) for value in part.bounds],
            category_id=number,
            category_name=self.phrases[number],
            segmentation=[corners],
            score=score,
            shift_amount=shift,
            full_shape=shape,
        )


def _boxes(answer: Answer) -> list[tuple[OrientedBox, float]]:
    """Return the boxes of the requested phrase, in pixels of the slice."""
    named = [region for region in answer.regions if region.as_asked is not False]
    return [
        (
            region.geometry if isinstance(region.geometry, OrientedBox) else OrientedBox.from_polygon(region.geometry),
            1.0 if region.score is None else region.score,
        )
        for region in named
    ]


def _first(listed: Any) -> list[int] | None:  # noqa: ANN401 - SAHI gives one pair, a list of one, or None
    """Return the pair for the one slice."""
    if not listed:
        return None
    pair = listed[0] if isinstance(listed[0], list | tuple) else listed
    return [int(number) for number in pair]
