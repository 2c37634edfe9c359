"""Freed memory stays in the process, and the memory of a run hardly grows with the number of images."""

import platform
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch

from fer_experiments.audit import class_images
from fer_experiments.audit.class_images import PixelsOnDisk
from fer_experiments.bench.memory import measure, watch
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.evaluation.generated.nearest import find_nearest, neighbour_distances, pixel_features
from fer_experiments.trainer.memory import keep_freed_memory
from tests.processes import start_process


def count_page_faults(keep: bool) -> None:
    """Print how many new pages 20 blocks of 80 MB take after the first ten."""
    if keep:
        assert keep_freed_memory()
    for _ in range(10):  # the heap finds its size
        torch.empty(20_000_000).fill_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.empty(20_000_000).fill_(1.0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_large_blocks_are_reused_without_new_pages(tmp_path):
    faults = []
    for keep in (True, False):
        output = tmp_path / f"{keep}.txt"
        start_process(count_page_faults, keep, folder=tmp_path, output=output).join(120)
        faults.append(int(output.read_text()))
    assert faults[0] * 10 < faults[1]


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False


# Memory by the number of images


def test_distances_need_no_more_than_a_block_of_references_at_once(monkeypatch):
    images = torch.randint(0, 256, (23, 24, 24, 3), dtype=torch.uint8).numpy()
    on_disk = PixelsOnDisk(ImageDataset(images, np.arange(23), np.zeros(23, dtype=np.int64), 24))
    at_once = on_disk[torch.arange(23)]
    queries = pixel_features(torch.randint(0, 256, (9, 3, 24, 24), dtype=torch.uint8))
    in_one_piece = find_nearest(queries, at_once), neighbour_distances(torch.tensor([0, 6, 7, 22]), at_once)
    monkeypatch.setattr(class_images, "CHUNK", 7)
    monkeypatch.setattr("fer_experiments.evaluation.generated.nearest.CHUNK", 4)
    assert [len(block) for block in on_disk.blocks()] == [7, 7, 7, 2]
    in_blocks = find_nearest(queries, on_disk), neighbour_distances(torch.tensor([0, 6, 7, 22]), on_disk)
    torch.testing.assert_close(in_blocks, in_one_piece)
    distances = torch.minimum(torch.cdist(queries, at_once.plain), torch.cdist(queries, at_once.mirrored))
    torch.testing.assert_close(in_one_piece[0], tuple(distances.min(1)))


def test_a_process_and_its_children_are_watched():
    code = "import subprocess, sys; block = b'x' * 60_000_000; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = "import time; block = b'x' * 80_000_000; time.sleep(0.5)"
    used = watch([sys.executable, "-c", code, child])
    assert 140 < used.private < 200
    with pytest.raises(subprocess.CalledProcessError):
        watch([sys.executable, "-c", "1 / 0"])


@pytest.mark.slow
@pytest.mark.timeout(3600)  # it takes ten minutes on two idle cores
def test_memory_grows_little_with_the_number_of_images(tmp_path):
    few, many = (measure(tmp_path / str(count), count) for count in (1000, 40_000))
    for small, large in zip(few, many, strict=True):
        assert large["private"] < min(1500, small["private"] + 300), large["job"]  # MB
