"""The trainer of GRPO: samples answers, rewards them, and takes steps on them."""

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from geochat.checkpoints import Checkpoint
from geochat.dialects import Dialect
from geochat.errors import SettingsError, TrainingError
from geochat_data.samples import Sample
from geochat_train.loop.arguments import shards_parameters
from geochat_train.recipe import GrpoRecipe
from geochat_train.reinforcement.objective import clipped_loss
from geochat_train.reinforcement.rewards import Attempt, Grade, grade
from geochat_train.reinforcement.rollouts import Answered, Rollout, packed
from geochat_train.reinforcement.sampling import Vocabulary, sample_answers
from geochat_train.tuning.trainer import TuningTrainer


class GrpoTrainer(TuningTrainer):
    """Trains on sampled answers and their rewards.

    Answers of a step are drawn from a generator seeded with the recipe's seed and the step, so that a resumed run
    samples what an uninterrupted one does. The starting model is validated too, so that `keep_best` publishes none
    that is worse.

    Args:
        recipe: Recipe of the run.
        checkpoint: Checkpoint from which the model was made.
        reference: The starting model; None to take the policy without its adapter.
        options: As `TuningTrainer`.
    """

    def __init__(
        self,
        *,
        recipe: GrpoRecipe,
        checkpoint: Checkpoint,
        reference: LlavaForConditionalGeneration | None,
        **options: Any,  # noqa: ANN401 - Trainer's own
    ) -> None:
        if shards_parameters():
            raise SettingsError("grpo samples from the whole model in each process; use accelerate/ddp.yaml")
        super().__init__(processor=checkpoint.processor, **options)
        self.loss_is_scaled_for_ga = False
        self.args.eval_on_start = self.eval_dataset is not None and self._folder.last_checkpoint() is None
        self._recipe = recipe
        self._dialect: Dialect = checkpoint.info.dialect
        self._tokenizer = checkpoint.processor.tokenizer
        self._vocabulary = Vocabulary.of(checkpoint)
        self._reference = reference
        self._rollouts: deque[Rollout] = deque()  # of the current step, one a batch
        self._sampled_at = -1
        self._sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # name -> sum, count
        self._last: Sequence[Answered] = ()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - Trainer's signature
        """Sample answers, or take those of the step before if it shares them, and compute the clipped loss."""
        recipe, step = self._recipe, self.state.global_step
        if step % recipe.iterations == 0:
            if self._sampled_at != step:
                self._rollouts.clear()
                self._sampled_at = step
            rollout = self._rollout(inputs)
        else:
            rollout = self._rollouts.popleft()  # batches come in the same order
        self._rollouts.append(rollout)
        logprobs = rollout.logprobs(model, self._vocabulary, recipe.temperature)
        if rollout.sampled is None:
            rollout.sampled = logprobs.detach()
        loss = clipped_loss(
            logprobs,
            rollout.sampled,
            rollout.advantages,
            rollout.weights,
            clip=recipe.clip,
            reference=rollout.reference,
            kl=recipe.kl,
        )
        if loss.divergence is not None:
            self._count("kl", [loss.divergence])
        if recipe.iterations > 1:
            self._count("clipped", [loss.clipped])
        return (loss.total, None) if return_outputs else loss.total

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor, None, None]:
        """Answer greedily; the validation loss is what the mean reward lacks of 1."""
        answered = self._answers(self._prepare_inputs(inputs), count=1)
        rewards = [one.grade.total for one in answered]
        return torch.tensor(1 - sum(rewards) / len(rewards), device=self.args.device), None, None

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Add the means since the last entry, and write the last answers beside the log."""
        if "loss" in logs:
            logs = {**logs, **self._means()}
            if self.is_world_process_zero():
                self._write_answers()
        if "eval_loss" in logs:
            logs = {**logs, "eval_reward": 1 - logs["eval_loss"]}
        super().log(logs, *arguments, **options)

    def _rollout(self, inputs: dict[str, Any]) -> Rollout:
        recipe = self._recipe
        seed = (recipe.seed, self.state.global_step, len(self._rollouts), self.args.process_index)
        answered = self._answers(inputs, count=recipe.group_size, temperature=recipe.temperature, seed=seed)
        rewards = torch.tensor([one.grade.total for one in answered]).view(-1, recipe.group_size)
        rollout = packed(inputs, answered, recipe, rewards)
        if recipe.kl:
            with torch.no_grad(), self.accelerator.autocast(), self._starting_model() as reference:
                rollout.reference = rollout.logprobs(reference, self._vocabulary, recipe.temperature)
        torch.clear_autocast_cache()  # holds weights cast without gradients, which the loss would use
        spread = rewards.std(1)
        self._count("reward", rewards.flatten().tolist())
        self._count("reward_spread", spread.tolist())
        self._count("groups_of_equal_rewards", (spread == 0).float().tolist())
        self._count("valid", [float(one.attempt.is_valid) for one in answered])
        self._count("answer_tokens", [float(len(one.tokens)) for one in answered])
        for name in recipe.rewards:
            self._count(f"reward_{name}", [one.grade.parts[name] for one in answered if name in one.grade.parts])
        self._last = answered
        return rollout

    def _answers(
        self, inputs: dict[str, Any], *, count: int, temperature: float = 0.0, seed: Sequence[int] = ()
    ) -> list[Answered]:
        prompts = {name: tensor for name, tensor in inputs.items() if name != "samples"}
        inner = self._inner()
        training = inner.training
        inner.eval()  # no dropout, and a cache beside gradient checkpointing
        try:
            with self.accelerator.autocast():
                drawn = sample_answers(
                    inner,
                    prompts,
                    self._vocabulary,
                    count=count,
                    max_new_tokens=self._recipe.max_new_tokens,
                    temperature=temperature,
                    generator=_generator(seed),
                )
        except RuntimeError as error:
            if "probability tensor" in str(error):
                self._stop("a probability is no number")
            raise
        finally:
            inner.train(training)
        samples = [sample for sample in inputs["samples"] for _ in range(count)]
        return [self._graded(sample, tokens) for sample, tokens in zip(samples, drawn, strict=True)]

    def _graded(self, sample: Sample, tokens: list[int]) -> Answered:
        *_, question, truth = sample.messages
        text = self._tokenizer.decode([token for token in tokens if token not in self._vocabulary.ends])
        ended = tokens[-1] in self._vocabulary.ends
        attempt = Attempt.of(question.text, truth.text, text.strip(), self._dialect, ended=ended)
        found: Grade | None = grade(attempt, self._recipe.weights)
        if found is None:
            raise TrainingError(
                f"no reward applies to {text[:60]!r} though one does to {truth.text[:60]!r}; a reward must apply or "
                "not by the truth alone"
            )
        return Answered(sample, attempt, found, tokens)

    def _inner(self) -> LlavaForConditionalGeneration:
        model: Any = self.accelerator.unwrap_model(self.model)
        inner = model.get_base_model() if isinstance(model, PeftModel) else model
        assert isinstance(inner, LlavaForConditionalGeneration)
        return inner

    @contextmanager
    def _starting_model(self) -> Iterator[nn.Module]:
        model: Any = self.accelerator.unwrap_model(self.model)
        disabled: AbstractContextManager[Any] = model.disable_adapter() if self._reference is None else nullcontext()
        with disabled:
            yield model if self._reference is None else self._reference

    def _count(self, name: str, values: Sequence[float]) -> None:
        self._sums[name][0] += sum(values)
        self._sums[name][1] += len(values)

    def _means(self) -> Mapping[str, float]:
        """Return the means over all processes since the last call."""
        names = sorted(self._sums)
        sums: Any = self.accelerator.reduce(torch.tensor([self._sums[n] for n in names], device=self.args.device))
        self._sums.clear()
        return {name: total / count for name, (total, count) in zip(names, sums.tolist(), strict=True) if count}

    def _write_answers(self) -> None:
        folder = self._folder.path / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"answers-{self.state.global_step:06}.jsonl").open("w", encoding="utf-8") as file:
            for one in self._last:
                texts = {"question": one.attempt.question, "label": one.attempt.truth.text}
                texts |= {"id": one.sample.id, "answer": one.attempt.answer.text}
                row = {**texts, "reward": one.grade.total, "rewards": one.grade.parts}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _generator(seed: Sequence[int]) -> torch.Generator:
    """Return a generator seeded with several numbers."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))
