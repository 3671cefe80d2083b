"""The generation config of a checkpoint: which tokens end an answer, and which are never written."""

from typing import Any

from transformers import GenerationConfig, LlavaConfig, LlavaProcessor

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.sources import Source
from geochat.errors import CheckpointError
from geochat.models.objects import read_object

_FILE = "generation_config.json"
_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "suppress_tokens", "begin_suppress_tokens")


def read_generation(source: Source, processor: LlavaProcessor) -> GenerationConfig:
    """Generation settings of a native checkpoint's file; of others, and without the file, `generation_config`.

    Raises:
        CheckpointError: The file is damaged, or names tokens that the model does not have.
    """
    file = source.folder / _FILE
    if not source.native or not file.is_file():
        return generation_config(source.config, processor)
    raw = read_object(file)
    vocabulary = source.config.get_text_config().vocab_size
    for name in _TOKENS:
        stated = raw.get(name)
        ids = stated if isinstance(stated, list) else [] if stated is None else [stated]
        strange = [number for number in ids if not _is_token(number, vocabulary)]
        if strange:
            raise CheckpointError(
                f"{file} has {name}={str(strange[0])[:40]}, expected ids below {vocabulary}; copy the checkpoint again"
            )
    with guarded(file):
        return GenerationConfig.from_dict({name: value for name, value in raw.items() if not name.startswith("_")})


def generation_config(config: LlavaConfig, processor: LlavaProcessor) -> GenerationConfig:
    """Greedy, and silent about ids that are not text: the image placeholder and the vocabulary's padding."""
    tokenizer: Any = processor.tokenizer
    vocabulary = config.get_text_config().vocab_size
    not_text = sorted({processor.image_token_id, *range(len(tokenizer), vocabulary)})
    return GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=not_text,
    )


def _is_token(number: object, vocabulary: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and -1 <= number < vocabulary
