"""How many trainings of a study run side by side. This needs torch, and no Lightning, so that a plan soon knows it."""

import os

import joblib
import torch

from fer_experiments.trainer.config import TrainerConfig

WORKER_BYTES = 3 * 2**30  # that a process with the paper's networks at 64 and 100 pixels needs, and as much again
MAX_GPU_WORKERS = 10  # as many as were tried


def choose_workers(trainer: TrainerConfig, seeds: int) -> int:
    """Return how many trainings of `seeds` seeds to run side by side.

    That is one for each thread that this process may use and each WORKER_BYTES of memory, because trainings of few
    images use one core better than several, but not more than seeds, because a single GAN is faster on all cores; on a
    GPU also one for each WORKER_BYTES that are free there, up to MAX_GPU_WORKERS, because one training leaves it idle
    between its small steps (.github/docs/size.md).
    """
    if trainer.is_distributed or trainer.device_type not in ("cpu", "cuda"):
        return 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    workers = min(seeds, torch.get_num_threads(), memory // WORKER_BYTES)
    if trainer.device_type == "cuda":
        free, _ = torch.cuda.mem_get_info(trainer.first_device)
        workers = min(workers, MAX_GPU_WORKERS, free // WORKER_BYTES)
    return max(1, workers)


def count_threads(workers: int) -> int:
    """Return how many threads each of so many processes has, as joblib would choose, or this one if it is alone.

    The last digits of a result depend on it.
    """
    if workers == 1:
        return torch.get_num_threads()
    return int(os.environ.get("OMP_NUM_THREADS") or max(1, joblib.cpu_count() // workers))
