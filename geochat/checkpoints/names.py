"""Names of tensors in every layout a GeoChat model comes in.

The hub's names for LLaVA are the common ones here, and what is written: vLLM accepts no others. A table of prefixes
leads to them from the original's names, from transformers' names in memory (which PEFT adapters use too), from a plain
Llama's and from a CLIP tower's. No two layouts use one prefix for different things, so the layout need not be known.
"""

VISION = "vision_tower.vision_model."
PROJECTOR = "multi_modal_projector."
LANGUAGE = "language_model.model."
HEAD = "language_model.lm_head."

POSITIONS = f"{VISION}embeddings.position_embedding.weight"
EMBEDDINGS = f"{LANGUAGE}embed_tokens.weight"
OUTPUT = f"{HEAD}weight"

ORIGINAL_TOWER = "model.vision_tower.vision_tower."

_ORIGINAL = (
    (f"{ORIGINAL_TOWER}vision_model.", VISION),
    ("model.mm_projector.0.", f"{PROJECTOR}linear_1."),
    ("model.mm_projector.2.", f"{PROJECTOR}linear_2."),
)
_IN_MEMORY = (
    ("model.vision_tower.vision_model.", VISION),
    ("model.vision_tower.", VISION),
    ("model.multi_modal_projector.", PROJECTOR),
    ("model.language_model.", LANGUAGE),
)
_HUB = ((VISION, VISION), ("vision_tower.", VISION), (PROJECTOR, PROJECTOR), (LANGUAGE, LANGUAGE), (HEAD, HEAD))
_LLAMA = (("lm_head.", HEAD), ("model.", LANGUAGE))  # after the others, whose prefixes begin like these
_TOWER = (("vision_model.", VISION),)
_TABLE = _ORIGINAL + _IN_MEMORY + _HUB + _LLAMA + _TOWER

_COMPUTED = ("rotary_emb.inv_freq", "embeddings.position_ids")


def hub_name(name: str) -> str | None:
    """The hub's name of the tensor that some layout calls `name`; None when no layout has it."""
    for prefix, replacement in _TABLE:
        if name.startswith(prefix):
            return replacement + name.removeprefix(prefix)
    return None


def original_name(name: str) -> str:
    """The original's name of the tensor with this hub name."""
    for prefix, replacement in _ORIGINAL + _LLAMA:
        if name.startswith(replacement):
            return prefix + name.removeprefix(replacement)
    return name


def is_computed(name: str) -> bool:
    """Return whether the tensor follows from the config, so that old checkpoints hold it and new ones do not."""
    return name.endswith(_COMPUTED)


def quoted(names: list[str]) -> str:
    """The first of `names` for a message, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
