"""A run of GRPO: a run of tuning with another objective."""

import copy
from typing import Any

from transformers import LlavaForConditionalGeneration

from geochat.checkpoints import Checkpoint
from geochat.models import ModelInfo
from geochat_data.encoding import Collator
from geochat_train.loop import Tell
from geochat_train.recipe import GrpoRecipe
from geochat_train.reinforcement.questions import QuestionCollator, choose_questions
from geochat_train.reinforcement.trainer import GrpoTrainer
from geochat_train.tuning.adapting import Tuned
from geochat_train.tuning.rows import Rows
from geochat_train.tuning.run import Objective, Tuning, tune


def reinforce(recipe: GrpoRecipe, *, restart: bool = False, tell: Tell = lambda _: None) -> Tuning:
    """Reinforce a model by rewards of its answers, resuming from the last checkpoint of an interrupted run.

    Args:
        recipe: Recipe of the run.
        restart: Whether to delete an existing run in the folder.
        tell: Called with progress messages.

    Raises:
        GeoChatError: As `geochat_train.tuning.tune`; a `DataError` too if no reward applies to the data.
    """
    return tune(recipe, restart=restart, tell=tell, objective=Reinforcement(recipe))


class Reinforcement(Objective):
    """Rewards of sampled answers to the questions in the rows."""

    def __init__(self, recipe: GrpoRecipe) -> None:
        super().__init__(recipe)
        self._grpo = recipe
        self._reference: LlavaForConditionalGeneration | None = None
        self.repeats = recipe.iterations

    def choose(self, rows: Rows, info: ModelInfo) -> Rows:
        """Return the turns that a reward applies to."""
        return choose_questions(rows, info, self._grpo)

    def before(self, checkpoint: Checkpoint) -> None:
        """Copy the starting model, unless disabling the adapter gives it."""
        if self._grpo.kl and not self._grpo.low_rank:
            self._reference = copy.deepcopy(checkpoint.model)

    def trainer(self, model: Tuned, checkpoint: Checkpoint, collator: Collator, options: dict[str, Any]) -> GrpoTrainer:
        """Return the trainer of an adapted model."""
        return GrpoTrainer(
            recipe=self._grpo,
            checkpoint=checkpoint,
            reference=self._reference,
            model=model,
            data_collator=QuestionCollator(collator),
            **options,
        )
