"""All measures of one class's generated images, against its training images and against its held-out ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from fer_experiments.audit.class_images import GENERATED, HELD_OUT, TRAIN, UNSEEN, ClassImages
from fer_experiments.audit.feature_extractor import build_feature_extractor
from fer_experiments.audit.record import HeldOutSource
from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.audit.shortcut_probe import MAX_IMAGES as MAX_PROBED
from fer_experiments.audit.shortcut_probe import ShortcutProbe, shortcut_probe
from fer_experiments.evaluation.generated.diversity import diversity
from fer_experiments.evaluation.generated.fid import FID, frechet_distance
from fer_experiments.evaluation.generated.fld import FLD, feature_likelihood_divergence
from fer_experiments.evaluation.generated.kid import KID, kernel_inception_distance
from fer_experiments.evaluation.generated.memorisation import HeldOutCopies, Memorisation, held_out_copies, memorisation
from fer_experiments.evaluation.generated.nearest import PixelFeatures, References
from fer_experiments.evaluation.generated.prdc import PRDC, precision_recall_density_coverage
from fer_experiments.evaluation.generated.vendi import Vendi, compare_vendi_scores

T = TypeVar("T")


@dataclass(frozen=True)
class NotMeasured:
    """A measure that has no number; not_measured: the reason."""

    not_measured: str


@dataclass(frozen=True)
class DiversityRatios:
    """How much two generated images differ, as a multiple of two held-out ones, in pixels and in features."""

    pixels: float
    features: float


@dataclass(frozen=True)
class LabelAgreement:
    """The shares of images that the reference classifier assigns to their class.

    agreement: the share of the `images` generated ones; held_out: that of the `held_out_images` held-out ones;
    chance: 1 / K; balanced_accuracy: that of the reference classifier on validation.
    """

    agreement: float
    held_out: float
    images: int
    held_out_images: int
    chance: float
    balanced_accuracy: float


class ClassMeasures(BaseModel):
    """The measures of one class.

    Attributes:
        measured_images: how many generated images were measured.
        real, held_out: how many training and held-out images of the class there are.
        held_out_source: where the held-out images are from; before there was a choice, validation.
        image_size: the side at which pixels are compared; bottleneck: the side that real images pass through.
        reference_classifier: its metrics on validation.
        distance_of_training_images: KID of training against held-out images. The reference classifier knows the
            training images, so this is more than the distance of two new sets of real images.
        frechet_distance: FID, if there are more images than features.
        likelihood_divergence: FLD.
        likeness: precision, recall, density and coverage.
        variety: the Vendi scores.
    """

    model_config = ConfigDict(extra="forbid")

    measured_images: int
    real: int
    held_out: int
    held_out_source: HeldOutSource = "validation"
    image_size: int
    bottleneck: int | None
    reference_classifier: dict[str, object]
    probe: ShortcutProbe | NotMeasured
    memorisation: Memorisation | NotMeasured
    held_out_copies: HeldOutCopies | NotMeasured
    diversity: DiversityRatios | NotMeasured
    distance: KID | NotMeasured
    distance_of_training_images: KID | NotMeasured
    frechet_distance: FID | NotMeasured
    likelihood_divergence: FLD | NotMeasured
    likeness: PRDC | NotMeasured
    variety: Vendi | NotMeasured
    labels: LabelAgreement

    def headline(self) -> dict[str, float | None]:
        """Return the most important number of each measure; None if it was not measured."""
        return {name: getattr(getattr(self, measure), key, None) for name, (measure, key) in HEADLINE.items()}


HEADLINE = {
    "memorised_fraction": ("memorisation", "share"),
    "ct": ("memorisation", "ct"),
    "authenticity": ("memorisation", "authenticity"),
    "precision": ("likeness", "precision"),
    "recall": ("likeness", "recall"),
    "density": ("likeness", "density"),
    "coverage": ("likeness", "coverage"),
    "vendi": ("variety", "ratio"),
    "kid": ("distance", "value"),
    "fld": ("likelihood_divergence", "value"),
    "label_agreement": ("labels", "agreement"),
}
"""{name: (measure, field)}"""


@dataclass(frozen=True)
class ClassFeatures:
    """The features in which the images of a class are compared.

    pixels: {HELD_OUT, UNSEEN, GENERATED: pixel features}; training_pixels: of all training images; deep: {TRAIN,
    HELD_OUT, GENERATED: features (N, D) of the encoder}.
    """

    pixels: dict[str, PixelFeatures]
    training_pixels: References
    deep: dict[str, Tensor]


def compute_features(images: ClassImages, settings: AuditSettings, reference: ReferenceClassifier) -> ClassFeatures:
    """Compute the features of all parts of a class."""
    size = settings.classifier_image_size
    extractor = build_feature_extractor(settings, reference)
    return ClassFeatures(
        pixels={part: images.pixels(part, size) for part in (HELD_OUT, UNSEEN, GENERATED)},
        training_pixels=images.training_pixels(size),
        deep={
            part: images.map(part, extractor.image_size, extractor.features) for part in (TRAIN, HELD_OUT, GENERATED)
        },
    )


def measure_class(
    images: ClassImages, features: ClassFeatures, settings: AuditSettings, reference: ReferenceClassifier
) -> ClassMeasures:
    """Measure the generated images of a class."""
    size, bottleneck = settings.classifier_image_size, images.data.source.bottleneck
    pixels, deep, train = features.pixels, features.deep, features.training_pixels
    return ClassMeasures(
        measured_images=len(images.generated),
        real=len(train),
        held_out=len(images.held_out.table),
        held_out_source=images.held_out.source,
        image_size=size,
        bottleneck=bottleneck,
        reference_classifier=reference.metrics,
        probe=measure_if_possible(
            lambda: shortcut_probe(
                images.first(TRAIN, size, MAX_PROBED),
                images.first(GENERATED, size, MAX_PROBED),
                settings.seed,
                settings.trainer.first_device,
            )
        ),
        memorisation=measure_if_possible(lambda: memorisation(pixels[GENERATED], train, pixels[HELD_OUT])),
        held_out_copies=measure_if_possible(lambda: held_out_copies(pixels[GENERATED], train, pixels[UNSEEN])),
        diversity=measure_if_possible(
            lambda: DiversityRatios(
                pixels=diversity(pixels[GENERATED].plain, pixels[HELD_OUT].plain).ratio,
                features=diversity(deep[GENERATED], deep[HELD_OUT]).ratio,
            )
        ),
        distance=measure_if_possible(lambda: kernel_inception_distance(deep[HELD_OUT], deep[GENERATED])),
        distance_of_training_images=measure_if_possible(lambda: kernel_inception_distance(deep[HELD_OUT], deep[TRAIN])),
        frechet_distance=measure_if_possible(lambda: frechet_distance(deep[HELD_OUT], deep[GENERATED])),
        likelihood_divergence=measure_if_possible(
            lambda: feature_likelihood_divergence(deep[TRAIN], deep[HELD_OUT], deep[GENERATED])
        ),
        likeness=measure_if_possible(lambda: precision_recall_density_coverage(deep[HELD_OUT], deep[GENERATED])),
        variety=measure_if_possible(lambda: compare_vendi_scores(deep[HELD_OUT], deep[GENERATED])),
        labels=measure_label_agreement(images, reference),
    )


def measure_if_possible(measure: Callable[[], T]) -> T | NotMeasured:
    """Return what `measure` returns, or NotMeasured with the message of the ValueError that it raises."""
    try:
        return measure()
    except ValueError as error:
        return NotMeasured(str(error))


def measure_label_agreement(images: ClassImages, reference: ReferenceClassifier) -> LabelAgreement:
    """Measure how many generated images, and how many held-out ones, the reference classifier assigns to the class."""
    place = reference.classes.index(images.label)
    agrees = {
        part: images.map(part, reference.image_size, reference.probabilities).argmax(1) == place
        for part in (GENERATED, HELD_OUT)
    }
    return LabelAgreement(
        agreement=float(agrees[GENERATED].double().mean()),
        held_out=float(agrees[HELD_OUT].double().mean()),
        images=len(agrees[GENERATED]),
        held_out_images=len(agrees[HELD_OUT]),
        chance=1 / len(reference.classes),
        balanced_accuracy=reference.metrics["balanced_accuracy"],
    )
