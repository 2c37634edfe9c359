"""The states of all global random number generators, for checkpoints."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def get_random_state() -> dict[str, Any]:
    """Return the states of torch (CPU and every GPU), numpy and Python, in types that load with weights_only=True."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    name, keys, *rest = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (name, keys.tolist(), *rest),
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore what `get_random_state` returned; the states of GPUs that do not exist here are left out."""
    torch.set_rng_state(state["torch"])
    for device, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state, device)
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])
