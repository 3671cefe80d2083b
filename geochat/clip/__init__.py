"""Dual encoders: images and texts in one space, and scenes classified in it without a language model.

>>> encoder = DualEncoder.from_pretrained()  # the bundled one; a CLIP or SigLIP directory or hub id; an open_clip file
>>> classifier = Classifier.zero_shot(encoder, ["airport", "harbor", "forest"])
>>> found = classifier.classify("scene.tif")
>>> found.label, found.probabilities  # "airport", {"airport": 0.93, "harbor": 0.05, "forest": 0.02}

`Classifier.learned(encoder, read_prompts("learned.safetensors"))` classifies with prompts that CoOp or CoCoOp learned;
what they were learned for is checked. Loading takes seconds, a classifier's text features are computed once, and a
classifier may be used from several threads: keep both, and build a new classifier when the classes change.
"""

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
