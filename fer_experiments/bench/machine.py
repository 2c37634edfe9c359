"""The machine on which something is measured."""

import platform
from pathlib import Path

import torch


def has_gpu() -> bool:
    """Return whether there is a CUDA device."""
    return torch.cuda.is_available()


def describe_machine() -> dict[str, str]:
    """Return {property: value} of the machine and of the software on which times depend."""
    is_cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if is_cuda else f"CPU, {torch.get_num_threads()} threads",
        "processor": _describe_processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "fp32": "TF32 in convolutions and matrix products" if is_cuda else "fp32",
    }


def _describe_processor() -> str:
    """Return the processor's model and how many cores there are, or its architecture if the system does not say."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.machine()
