"""Freed memory stays in the process."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from fer_experiments.train.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(10):  # the heap finds its size
    torch.empty(20_000_000).fill_(1.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.empty(20_000_000).fill_(1.0)  # 80 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_large_blocks_are_reused_without_new_pages():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "return")
    }
    assert faults["keep"] * 10 < faults["return"]


def test_other_systems_are_left_alone(monkeypatch):
    from fer_experiments.train.memory import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False
