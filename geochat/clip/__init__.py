"""Dual encoders: images and texts in one space, and scenes classified in it without a language model.

>>> encoder = DualEncoder.from_pretrained()  # the bundled one; a CLIP or SigLIP directory or hub id; an open_clip file
>>> classifier = Classifier.zero_shot(encoder, ["airport", "harbor", "forest"])
>>> found = classifier.classify("scene.tif")
>>> found.label, found.probabilities  # "airport", {"airport": 0.93, "harbor": 0.05, "forest": 0.02}

`Classifier.learned(encoder, read_prompts("learned.safetensors"))` classifies with prompts learned by CoOp or CoCoOp,
after checking that they fit the encoder. Loading takes seconds, a classifier's text features are computed once, and a
classifier is thread-safe: keep both, and build a new classifier when the classes change.

The names below are loaded on first use, so that what needs no torch comes without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat.clip.cache import FeatureCache
    from geochat.clip.classifier import Classification, Classifier
    from geochat.clip.encoder import DualEncoder, save_encoder
    from geochat.clip.layout import PromptSettings
    from geochat.clip.learned import CoCoOp, CoOp
    from geochat.clip.prompt_files import LearnedPrompts, read_prompts, save_prompts
    from geochat.clip.templates import REMOTE_SENSING, read_templates

__all__ = [
    "REMOTE_SENSING",
    "Classification",
    "Classifier",
    "CoCoOp",
    "CoOp",
    "DualEncoder",
    "FeatureCache",
    "LearnedPrompts",
    "PromptSettings",
    "read_prompts",
    "read_templates",
    "save_encoder",
    "save_prompts",
]

_HOMES = {
    "REMOTE_SENSING": "templates",
    "Classification": "classifier",
    "Classifier": "classifier",
    "CoCoOp": "learned",
    "CoOp": "learned",
    "DualEncoder": "encoder",
    "FeatureCache": "cache",
    "LearnedPrompts": "prompt_files",
    "PromptSettings": "layout",
    "read_prompts": "prompt_files",
    "read_templates": "templates",
    "save_encoder": "encoder",
    "save_prompts": "prompt_files",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name not in _HOMES:
        raise AttributeError(f"module 'geochat.clip' has no attribute {name!r}")
    return getattr(import_module(f"geochat.clip.{_HOMES[name]}"), name)
