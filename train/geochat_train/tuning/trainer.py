"""The trainer of instruction tuning: its loss, and the contents of its checkpoints."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from geochat.checkpoints import save_adapter, save_checkpoint
from geochat.checkpoints.layout import hub_name
from geochat.errors import CheckpointError
from geochat.models import Settings
from geochat_data.encoding import IGNORED
from geochat_train.loop import SafeTrainer
from geochat_train.tuning.adapting import Tuned

_ADAPTER = "adapter_model.safetensors"
_WEIGHTS = "model.safetensors"
_ONE_FILE = "1000000GB"


class TuningTrainer(SafeTrainer):
    """Trains on the assistant's text.

    Args:
        processor: Saved in checkpoints.
        settings: Saved in checkpoints.
        options: As `SafeTrainer`.
    """

    def __init__(self, *, processor: LlavaProcessor, settings: Settings, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._processor = processor
        self._settings = settings
        self.loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - Trainer's signature
        """Compute cross-entropy of the labelled tokens, averaged over those of the whole step.

        Logits are computed only at positions that some row of the batch is trained on, not over the image and the
        questions: at 7B, logits of 1400 positions and their gradient would take 0.5 GB per row.
        """
        labels = inputs["labels"][:, 1:]
        learnt = (labels != IGNORED).any(0).nonzero().squeeze(1)  # (K,)
        rest = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**rest, logits_to_keep=learnt, use_cache=False)
        logits = outputs.logits.float()  # (B, K, V)
        targets = labels[:, learnt]
        if num_items_in_batch is None:
            loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        else:
            total = functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
            )
            loss = total / num_items_in_batch * self.accelerator.num_processes  # which DDP divides by again
        return (loss, outputs) if return_outputs else loss

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if self.args.should_save:
            assert output_dir is not None
            folder = Path(output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            model = self.accelerator.unwrap_model(self.model)
            save_result(folder, model, self._processor, self._settings, state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        load_result(Path(resume_from_checkpoint), self.accelerator.unwrap_model(model or self.model))


def save_result(
    folder: Path,
    model: Tuned,
    processor: LlavaProcessor,
    settings: Settings,
    state: dict[str, Tensor] | None = None,
) -> None:
    """Write the trained weights into an existing folder: an adapter, or the entire model.

    Args:
        folder: Destination folder.
        model: The tuned model.
        processor: Saved with it.
        settings: Saved with it.
        state: Its weights, where they are gathered from several processes.
    """
    if isinstance(model, PeftModel):
        save_adapter(folder, model, processor, settings, state)
    else:
        save_checkpoint(
            folder, model, processor, settings, state=state, dtype=torch.float32, shard_size=_ONE_FILE
        )  # float32, or a run that goes on would not be the same


def load_result(folder: Path, model: Tuned) -> None:
    """Load the output of `save_result` into a model that was adapted in the same way.

    Raises:
        CheckpointError: The folder does not hold exactly what the model needs.
    """
    if isinstance(model, PeftModel):
        outcome: Any = set_peft_model_state_dict(model, load_file(folder / _ADAPTER))
        if outcome.unexpected_keys:
            raise CheckpointError(f"{folder} holds {outcome.unexpected_keys[0]}, which this run does not adapt")
        return
    assert isinstance(model, LlavaForConditionalGeneration)
    stored = load_file(folder / _WEIGHTS)
    tied = set(model.all_tied_weights_keys)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name not in tied:
                tensor.copy_(stored[str(hub_name(name))])
