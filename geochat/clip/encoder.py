"""Dual encoders, which map images and texts to unit vectors in one space; related images and texts are close.

Radford et al. 2021 (CLIP): f = image encoder of x, w = text encoder of a text, both L2-normalised; their product, the
cosine, times the learned exp(s) = 1/τ is the logit.
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, SiglipModel

from geochat.clip.loading import Model, Parts, load_parts
from geochat.clip.preprocess import SquareMaker
from geochat.errors import PromptError
from geochat.imagery import GeoImage, ImageSource, open_image
from geochat.models import weights_sha256

Picture = ImageSource | GeoImage
_TEXTS = 256  # encoded at once


class DualEncoder:
    """A CLIP or SigLIP with its tokenizer and image processor; frozen and thread-safe."""

    def __init__(self, parts: Parts) -> None:
        self.model: Model = parts.model
        self.tokenizer: PreTrainedTokenizerBase = parts.tokenizer
        self.processor = parts.processor
        self.name = parts.name
        self.weights = parts.weights
        self._squares = SquareMaker(parts.processor)
        self._tokenizing = threading.Lock()  # tokenizers keep the padding asked for, and fail when threads change it

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: str | None = None,
        tokenizer: str | Path | None = None,
        activation: str | None = None,
        allow_download: bool = False,
    ) -> "DualEncoder":
        """Load a dual encoder.

        Args:
            source: A directory or hub id of a transformers CLIP or SigLIP; a directory, hub id or weights file in
                open_clip's format, such as RemoteCLIP's and GeoRSCLIP's `.pt`; None is the bundled one.
            device: Such as "cpu" or "cuda:1"; None takes CUDA, then MPS, then the CPU.
            dtype: "float32" (the default), "bfloat16" or "float16".
            tokenizer: A directory, a hub id or open_clip's list of merges, where `source` comes without; None looks
                beside the weights, in an installed open_clip, then in the hub's local cache.
            activation: "gelu" or "quick_gelu", for open_clip's weights files, which do not say it.
            allow_download: Whether the hub's copy of CLIP's tokenizer may be downloaded for such a file.

        Raises:
            CheckpointError: There is no such model, or it is incomplete, damaged or unknown; names the file or tensor.
            SettingsError: The device, precision or activation does not exist here.
        """
        return cls(
            load_parts(
                source,
                device=device,
                dtype=dtype,
                tokenizer=tokenizer,
                activation=activation,
                allow_download=allow_download,
            )
        )

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.device

    @cached_property
    def scale(self) -> float:
        """1/τ, the factor of cosine similarities before the softmax."""
        return self.model.logit_scale.double().exp().item()

    @cached_property
    def dimension(self) -> int:
        """Dimension of the common space."""
        config: Any = self.model.config
        siglip = isinstance(self.model, SiglipModel)
        return int(config.vision_config.hidden_size if siglip else config.projection_dim)

    @cached_property
    def image_size(self) -> int:
        """Side of the square the image tower reads, in pixels."""
        config: Any = self.model.config
        return int(config.vision_config.image_size)

    @cached_property
    def context_length(self) -> int:
        """Maximum number of tokens of a text."""
        config: Any = self.model.config
        return int(config.text_config.max_position_embeddings)

    @cached_property
    def sha256(self) -> str:
        """Hex digest over the weights files, computed on first use."""
        return weights_sha256(self.weights)

    @cached_property
    def processing(self) -> str:
        """Settings of the image processor as text; together with the weights they determine an image's features."""
        return str(self.processor.to_json_string())

    def pixels(self, images: Sequence[Picture]) -> Tensor:
        """Preprocess images for the image tower.

        Args:
            images: Files, PIL images, arrays (height, width, bands) or opened images.

        Returns:
            Float32, (N, 3, S, S), on the CPU.

        Raises:
            ImageError: One cannot be read.
        """
        return self._squares.normalise(torch.stack([self.square(image) for image in images]))

    def square(self, image: Picture) -> Tensor:
        """Preprocess one image to the tower's square as uint8, a quarter of the float size: (3, S, S), on the CPU.

        Raises:
            ImageError: It cannot be read.
        """
        return self._squares.square(image if isinstance(image, GeoImage) else open_image(image))

    @torch.no_grad()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Encode the output of `pixels`.

        Args:
            pixels: (N, 3, S, S).

        Returns:
            Float32, (N, D), of length 1, on the model's device.
        """
        output: Any = self.model.get_image_features(pixels.to(self.device, self.model.dtype))
        return functional.normalize(output.pooler_output.float(), dim=-1)

    def encode_squares(self, squares: Tensor) -> Tensor:
        """Encode squares (N, 3, S, S) made by `square`; as `encode_pixels`."""
        return self.encode_pixels(self._squares.normalise(squares.to(self.device)))

    def encode_images(self, images: Sequence[Picture], batch_size: int = 32) -> Tensor:
        """Encode images.

        Returns:
            Float32, (N, D), of length 1, on the model's device.

        Raises:
            ImageError: One cannot be read.
        """
        batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        features = [self.encode_pixels(self.pixels(batch)) for batch in batches]
        return torch.cat(features) if features else torch.empty(0, self.dimension, device=self.device)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode texts.

        Returns:
            Float32, (N, D), of length 1, on the model's device.

        Raises:
            PromptError: A text is longer than the model reads.
        """
        features = []
        for start in range(0, len(texts), _TEXTS):
            output: Any = self.model.get_text_features(input_ids=self.tokens(texts[start : start + _TEXTS]))
            features.append(functional.normalize(output.pooler_output.float(), dim=-1))
        return torch.cat(features) if features else torch.empty(0, self.dimension, device=self.device)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Return ids of texts, padded on the right: (N, L) on the model's device.

        SigLIP reads its last position, so texts are padded to its whole context, as it was trained; CLIP, which reads
        the end token and looks back only, is padded to the longest.

        Raises:
            PromptError: A text is longer than the model reads.
        """
        whole = isinstance(self.model, SiglipModel)
        padding: dict[str, Any] = {"padding": "max_length", "max_length": self.context_length} if whole else {}
        ids = self.ids(texts, **({"padding": True} | padding), padding_side="right")
        if len(ids[0]) > self.context_length:
            text = max(zip(map(len, self.ids(texts)), texts, strict=True))[1]
            raise PromptError(f"{text!r} is longer than the {self.context_length} tokens {self.name} reads; shorten it")
        return torch.tensor(ids, device=self.device)

    def ids(self, texts: Sequence[str], **options: Any) -> list[list[int]]:  # noqa: ANN401 - the tokenizer's own
        """Return ids of texts, with the options of the tokenizer."""
        with self._tokenizing:
            ids: list[list[int]] = self.tokenizer(list(texts), **options)["input_ids"]
        return ids


def save_encoder(encoder: DualEncoder, folder: Path) -> None:
    """Write a dual encoder in transformers' format: weights, config, tokenizer, image processor.

    Raises:
        OSError: It cannot be written.
    """
    encoder.model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    encoder.processor.save_pretrained(folder)
