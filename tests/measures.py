"""The measures of a class whose generated images are as good as real ones."""

from typing import Any

from fer_experiments.audit.measures import ClassMeasures, DiversityRatios, LabelAgreement
from fer_experiments.audit.shortcut_probe import ShortcutProbe
from fer_experiments.evaluation.generated.fid import FID
from fer_experiments.evaluation.generated.fld import FLD
from fer_experiments.evaluation.generated.kid import KID
from fer_experiments.evaluation.generated.memorisation import HeldOutCopies, Memorisation
from fer_experiments.evaluation.generated.prdc import PRDC
from fer_experiments.evaluation.generated.vendi import Vendi

GOOD: dict[str, Any] = {
    "measured_images": 400,
    "real": 500,
    "held_out": 400,
    "image_size": 48,
    "bottleneck": None,
    "reference_classifier": {"balanced_accuracy": 0.8, "recall": {"angry": 0.8, "happy": None}, "images": 800},
    "probe": ShortcutProbe(auroc=0.5, low=0.4, high=0.6, images=100),
    "memorisation": Memorisation(
        share=0.05, expected=0.05, threshold=0.1, chance=0.5, ct=0.0, authenticity=0.5, real_authenticity=0.5
    ),
    "held_out_copies": HeldOutCopies(share=0.05, expected=0.05, threshold=0.1, chance=0.5, images=200),
    "diversity": DiversityRatios(pixels=1.0, features=1.0),
    "distance": KID(value=0.1, low=0.0, high=0.2, first=400, second=400),
    "distance_of_training_images": KID(value=0.05, low=0.0, high=0.1, first=400, second=500),
    "frechet_distance": FID(value=3.0, first=400, second=400),
    "likelihood_divergence": FLD(value=0.5, gap=-0.1, train=500, held_out=400, generated=400),
    "likeness": PRDC(
        precision=1.0, recall=1.0, density=1.0, coverage=0.9, expected_coverage=0.95, real=100, generated=400
    ),
    "variety": Vendi(generated=20.0, held_out=20.0, images=400),
    "labels": LabelAgreement(
        agreement=0.8, held_out=0.8, images=400, held_out_images=400, chance=0.5, balanced_accuracy=0.8
    ),
}


def class_measures(**changes: Any) -> ClassMeasures:
    """Return the measures with some of them replaced."""
    return ClassMeasures(**(GOOD | changes))
