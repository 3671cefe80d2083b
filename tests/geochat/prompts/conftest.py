"""The words and tasks that a small model knows, and how a question is read with them."""

import pytest

from geochat.prompts.recognition import recognise
from geochat.prompts.tasks import Task
from geochat.prompts.vocabulary import OutOfScope, Recognised, Vocabulary

CATEGORIES = (
    "airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship", "solar panel",
)  # fmt: skip
SCENES = (
    "agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral", "dense residential", "forest",
    "freeway", "golf course", "harbor", "intersection", "medium residential", "mobile home park", "overpass",
    "parking lot", "river", "runway", "sparse residential", "storage tanks", "tennis court",
)  # fmt: skip
MINI = Vocabulary(CATEGORIES, SCENES, tuple(Task))


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """A vocabulary of eight categories, 21 scenes and every task."""
    return MINI


@pytest.fixture(scope="session")
def understood():
    """`understood("how many cars?")` is what recognition makes of a question in scope."""

    def ask(question: str, **options) -> Recognised:
        found = recognise(question, MINI, **options)
        assert isinstance(found, Recognised), found
        return found

    return ask


@pytest.fixture(scope="session")
def refused():
    """`refused("how many submarines?")` is the answer to a question out of scope."""

    def ask(question: str, **options) -> str:
        found = recognise(question, MINI, **options)
        assert isinstance(found, OutOfScope), found
        return found.answer

    return ask
