"""Description of the machine, and printing of results."""

import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import torch


def machine() -> dict[str, Any]:
    """Return processor, cores and threads in use, and the load of the machine."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
    }


def tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print figures: one JSON object, or a line for each."""
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}: {json.dumps(value)}")
