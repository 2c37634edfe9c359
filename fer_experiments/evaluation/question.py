"""What a study asks of its results."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.scores import Array, Metric
from fer_experiments.strict_config import StrictConfig

if TYPE_CHECKING:
    from fer_experiments.evaluation.comparison import Comparison
    from fer_experiments.evaluation.intervals import Variance


Stop = Literal["settled", "hopeless", "max_seeds", "budget", "failed"]
"""Why a study that grows by itself stops: every verdict that it is about is reached; more seeds would most likely reach
no further one; its seeds or its time are used up; every arm with generated images has failed."""


class Question(StrictConfig):
    """The question of a study.

    The defaults are for runs outside of any study; a study has its own in conf/train/study.yaml.

    Attributes:
        baseline: the arm without any balancing.
        metric: what is compared.
        margin: differences within +-margin count as none.
        level: of the intervals.
    """

    baseline: str = "none"
    metric: Metric = "balanced_accuracy"
    margin: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.005
    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95

    def baseline_with(self, augmentation: str) -> str:
        """Return the name of the baseline with an augmentation: "none+traditional"."""
        return str(replace(ArmName.parse(self.baseline), augment=augmentation))

    def compare(
        self,
        predictions_a: Array,
        predictions_b: Array,
        labels: Array,
        clusters: Array | None = None,
        seed_variance: "Variance | None" = None,
    ) -> "Comparison":
        """Compare two arms by the study's metric, margin and level; the arguments are those of `compare`."""
        from fer_experiments.evaluation.comparison import compare  # imports scipy, which takes half a second

        return compare(
            predictions_a,
            predictions_b,
            labels,
            self.metric,
            self.margin,
            self.level,
            clusters=clusters,
            seed_variance=seed_variance,
        )
