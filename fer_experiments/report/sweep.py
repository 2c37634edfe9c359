"""The report of a sweep, written by itself when the sweep ends."""

import atexit
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fer_experiments.report.__main__ import main


class SweepReport(Callback):
    """conf/config.yaml names it. Hydra passes over on_multirun_end where a job failed, but a program always exits."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        atexit.register(write_sweep_report, Path(config.hydra.sweep.dir))


def write_sweep_report(folder: Path) -> None:
    """report.html and its tables in the sweep's folder; says so where no classifier was trained, as by train=dcgan."""
    if folder.is_dir():  # else the sweep broke before its first job
        main([str(folder)])
