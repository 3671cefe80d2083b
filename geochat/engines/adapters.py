"""Names of a model's active adapters, so that results computed with one are never taken for another's."""

from typing import Any

from torch import nn


def active_adapters(model: nn.Module) -> str:
    """A name for the LoRA adapters that act now, empty for none."""
    modules: list[Any] = list(model.modules())
    layers = [module for module in modules if hasattr(module, "merged_adapters")]  # PEFT's tuner layers
    states = {
        (tuple(layer.active_adapters), bool(layer.disable_adapters), tuple(layer.merged_adapters)) for layer in layers
    }
    return repr(sorted(states, key=repr)) if states else ""
