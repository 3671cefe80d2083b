"""4- and 8-bit weights, by bitsandbytes.

Only the language model's linear layers are quantised (Dettmers et al. 2022 and 2023). The tower, the projector and the
output layer stay as they are; they are named in full, because a shorter name is not recognised and
the tower would be quantised too. bitsandbytes is imported only when asked for.
"""

from importlib.util import find_spec
from typing import Any, Literal, get_args

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from geochat.errors import SettingsError

_ROWS, _COLUMNS = 32, 64  # bitsandbytes packs weights by these on CPUs with bfloat16, and fails on a remainder
Quantization = Literal["4bit", "8bit"]
NOT_QUANTIZED = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
_DEVICES = ("cpu", "cuda")


def quantization_config(kind: str, device: torch.device, dtype: torch.dtype) -> BitsAndBytesConfig:
    """The configuration with which transformers loads a quantised model.

    Args:
        kind: "4bit" (NF4, its constants quantised too) or "8bit" (LLM.int8).
        device: Where the model will live.
        dtype: The precision that is computed in.

    Raises:
        SettingsError: The kind or device is not supported, or bitsandbytes is not installed.
    """
    if kind not in get_args(Quantization):
        raise SettingsError(f"unknown quantization {kind!r}; use {' or '.join(get_args(Quantization))}")
    if device.type not in _DEVICES:
        raise SettingsError(f"weights cannot be quantised on {device.type!r}; use {' or '.join(_DEVICES)}")
    if find_spec("bitsandbytes") is None:
        raise SettingsError("quantization needs bitsandbytes, which is not installed; run `pip install bitsandbytes`")
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(NOT_QUANTIZED))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(NOT_QUANTIZED),
    )


def leave_unpacked(model: nn.Module) -> None:
    """Have layers that bitsandbytes cannot pack for a CPU with bfloat16 computed the general way.

    Without this their first use ends in an error of bitsandbytes 0.50. Where nothing is packed it changes nothing.
    """
    layer: Any  # bitsandbytes' layers are not typed
    for layer in model.modules():
        packable = hasattr(layer, "support_avx512bf16_for_cpu")
        if packable and (layer.out_features % _ROWS or layer.in_features % _COLUMNS):
            layer.support_avx512bf16_for_cpu = False
