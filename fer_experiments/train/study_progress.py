"""How far a study is: by what its trainings have left, and by the seconds that its plan gives them."""

import time
from collections.abc import Sequence
from pathlib import Path

from fer_experiments.evaluation.result import Result
from fer_experiments.report.gan_files import GAN_FOLDER
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.plan.plan import Plan, format_rough_duration

LEAST_LEFT = 0.1  # of the time that the unfinished trainings were given; a late one is not said to be done


class StudyProgress:
    """Estimate how much of a study is done, and how long the rest takes.

    The plan's seconds set the proportions, the study's own pace their length: other work on the machine slows it down.
    """

    def __init__(self, plan: Plan, arms: Sequence[Arm], folder: Path) -> None:
        """Begin at this moment. plan: with the seconds of its trainings; folder: the study's."""
        self._plan, self._arms, self._folder = plan, arms, folder
        self._number_of_gans = sum(training.is_gan for training in plan.trainings)
        self._seconds_of_gans = sum(training.seconds or 0.0 for training in plan.trainings if training.is_gan)
        self._seconds_of_seed = plan.seconds_of_seed or 0.0
        self._started = self._changed = time.monotonic()
        self._finished_before: dict[int, float] = {}  # by seed, when it was first looked at
        self._finished = 0.0

    def estimate(self, seeds: Sequence[int]) -> tuple[float, float]:
        """Return the share of these seeds' work that is done, from 0 to 1, and the seconds until it all is."""
        total = self._seconds_of_seed * len(seeds)
        by_seed = {seed: self._finished_seconds(seed) for seed in seeds}
        finished = sum(by_seed.values())
        self._finished_before = by_seed | self._finished_before
        now = time.monotonic()
        if finished != self._finished:
            self._finished, self._changed = finished, now
        done_here = finished - sum(self._finished_before[seed] for seed in seeds)
        expected = self._plan.seconds_for(len(seeds)) or 0.0
        pace = (self._changed - self._started) / done_here if done_here else expected / total
        unfinished = (total - finished) * pace
        left = max(unfinished - (now - self._changed), LEAST_LEFT * unfinished)
        return 1 - left / (total * pace) if pace else 1.0, left

    def describe(self, seeds: Sequence[int]) -> tuple[float, str]:
        """Return the share of these seeds' work that is done, and how long the rest takes: "about 2 min left"."""
        share, left = self.estimate(seeds)
        return share, f"about {format_rough_duration(left)} left"

    def _finished_seconds(self, seed: int) -> float:
        """Return how many of the planned seconds of a seed are spent, by its finished GANs and classifiers."""
        folder = self._folder / f"seed_{seed}"
        arms = [folder / arm.folder for arm in self._arms]
        finished = sum((arm / Result.file_name).is_file() for arm in arms)
        places = (GAN_FOLDER + "*", GAN_FOLDER + "*/*")
        gans = [file for place in places for file in folder.glob(f"{place}/{Result.file_name}")]
        of_gans = self._seconds_of_gans * min(1.0, len(gans) / max(1, self._number_of_gans))
        return of_gans + (self._seconds_of_seed - self._seconds_of_gans) * finished / len(arms)
