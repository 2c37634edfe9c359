"""The plan of a job: what it will train on the first seed's split, and how long that takes on this machine.

The first is known without Lightning, which takes seconds to import.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fer_experiments.balance import External, InjectGenerated, TrainingPlan
from fer_experiments.data.groups import describe_groups
from fer_experiments.data.injection import ADDED_REAL
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.unused import find_unused_rows
from fer_experiments.errors import ConfigError
from fer_experiments.gan import GANConfig
from fer_experiments.train.arms.arm import Arm, group_by_generator
from fer_experiments.train.arms.check_external import list_external_images
from fer_experiments.train.arms.check_joint import classifier_image_size
from fer_experiments.train.gan.selection import (
    check_validation_images,
    choose_images,
    classes_to_train,
    count_generated_images,
    count_steps_per_epoch,
    describe_gan,
    group_by_gan,
    training_places,
)
from fer_experiments.train.plan.plan import MIN_STEPS, PARTS, Plan, PlannedTraining, format_rough_duration
from fer_experiments.train.plan.step_seconds import Build, Built, get_or_measure_step_seconds
from fer_experiments.train.settings import Settings

GAN_SIZES = (32, 64, 128)
MAX_SHARE = 0.75  # of the pixels, up to which a smaller size is advised
FORWARD_SHARE = 1 / 3  # of a training step's time, that a forward pass takes
# Seconds beside the steps, as they were measured on two cores of an AMD EPYC: of a GAN its checkpoints, pictures and
# images, and for each class that it generates the audit; of a classifier its checkpoints and its results.
SECONDS_OF_GAN, SECONDS_OF_AUDIT, SECONDS_OF_CLASSIFIER = 2.0, 5.0, 1.0
LENGTHS = {"epochs", "images_seen", "picture_epochs", "checkpoint_every", "kid_every", "checkpoint", "target_class"}


def plan_arms(settings: Settings, arms: Sequence[Arm]) -> Plan:
    """Return the plan of training these arms with one seed, with the GANs that they share, without its time."""
    data = PreparedData.prepare(settings.data, settings.seed)
    gans: list[PlannedTraining] = []
    advisers: list[Callable[[Plan], tuple[str, ...]]] = []
    for group in group_by_generator(arms).values():
        of_group = settings.with_gan(group[0].gan)
        needed = count_generated_images(of_group, data, group)
        several = plan_gans(of_group, data, needed)
        place = slice(len(gans), len(gans) + len(several))
        advisers.append(partial(_advise_conditional, of_group, data, needed, place))
        gans += several
    classifiers = [_plan_classifier(settings, data, arm) for arm in arms]

    def complete(plan: Plan) -> Plan:
        advice = (sentence for advise in advisers for sentence in advise(plan))
        return replace(plan, advice=(*_advise_sizes(settings, data, bool(gans)), *advice))

    cautions = tuple(_check_added_images(settings, data, arms))
    return replace(_plan_trainings(data, [*gans, *_join_alike(classifiers)]), cautions=cautions, complete=complete)


def _check_added_images(settings: Settings, data: PreparedData, arms: Sequence[Arm]) -> Iterator[str]:
    """Name the arms that add no generated images, and those that add real ones of which the split leaves too few.

    The other arms can be trained.

    Raises ConfigError if a folder of external images has too few.
    """
    for arm in arms:
        plan = arm.balance.plan(data.split.labels("train"), settings.seed)
        if isinstance(arm.balance, External):
            list_external_images(data, arm.balance, plan.added)
        if isinstance(arm.balance, InjectGenerated) and arm.balance.add != 0 and not sum(plan.added.values()):
            yield f"{arm.name} adds no images, as no class needs any: balance.add says how many are added"
        try:
            if added := plan.added_from(ADDED_REAL):
                find_unused_rows(data, added)
        except ConfigError as error:
            yield f"{arm.name} will fail: {error}"


def plan_gan_alone(settings: Settings) -> Plan:
    """Return the plan of train=dcgan, without its time."""
    data = PreparedData.prepare(settings.data, settings.seed)
    return _plan_trainings(data, plan_gans(settings, data, choose_images(settings, data)))


def _plan_trainings(data: PreparedData, trainings: list[PlannedTraining]) -> Plan:
    """Return the plan of these trainings on these images."""
    return Plan(
        counts={part: data.split.counts(part) for part in PARTS},
        groups=data.split.report.get("groups", {}),
        group_description=describe_groups(data.split.table, data.source),
        trainings=trainings,
    )


def plan_gans(settings: Settings, data: PreparedData, needed: Mapping[str, int]) -> list[PlannedTraining]:
    """Return the GANs that make the needed = {class: images}."""
    if settings.gan.pretrained is not None:
        return []
    return [_plan_gan(settings, data, group) for group in group_by_gan(settings.gan, needed)]


def _plan_gan(settings: Settings, data: PreparedData, needed: dict[str, int]) -> PlannedTraining:
    gan = settings.gan
    classes = classes_to_train(gan, data, needed)
    check_validation_images(gan, data, classes)
    per_epoch = count_steps_per_epoch(gan, data, classes)
    epochs = gan.epochs_for(per_epoch)
    steps = _limit_steps(settings, epochs, per_epoch)
    fixed_seconds = SECONDS_OF_GAN + SECONDS_OF_AUDIT * len(needed)

    def build() -> Built:
        from fer_experiments.train.gan.fit import build_gan, gan_datamodule

        places = training_places(gan, data, classes)
        return build_gan(settings, data, classes), gan_datamodule(settings, data, places, per_epoch)

    def measure(can_measure: bool) -> float | None:
        described = ("gan", len(classes), data.source.channels, gan.model_dump(exclude=LENGTHS))
        step = _step_seconds(settings, steps, described, build, can_measure)
        return None if step is None else step * steps + fixed_seconds

    return PlannedTraining(
        describe_gan(gan, classes),
        gan.image_size,
        gan.batch_size,
        steps,
        None,
        fixed_seconds,
        is_gan=True,
        generated=sum(needed.values()),
        caution=_check_max_epochs(settings, "gan", epochs),
        measure=measure,
    )


def _plan_classifier(settings: Settings, data: PreparedData, arm: Arm) -> PlannedTraining:
    config = settings.classifier
    per_epoch = data.steps_per_epoch(config.batch_size)
    epochs = settings.trainer.limit_epochs(config.epochs)
    steps = _limit_steps(settings, config.epochs, per_epoch)

    def build() -> Built:
        from fer_experiments.train.arms.train_classifier import build_model
        from fer_experiments.train.arms.training_images import build_datamodule

        # All strategies take as long for a step; real images alone are there before a GAN is trained.
        plan = TrainingPlan(np.arange(len(data.split.rows("train"))))
        return build_model(settings, data, arm, plan), build_datamodule(settings, data, arm, plan, {})

    def measure(can_measure: bool) -> float | None:
        joint = None if arm.joint is None else (arm.joint.model_dump(), settings.gan.model_dump(exclude=LENGTHS))
        described = (
            *("classifier", len(data.classes), data.source.channels, config.model_dump(exclude=LENGTHS)),
            *(repr(arm.augment), joint),
        )
        step = _step_seconds(settings, steps, described, build, can_measure)
        if step is None:
            return None
        valid, test = (len(data.split.rows(part)) for part in ("valid", "test"))
        limit = settings.trainer.limit_batches
        validated = valid if limit is None else min(valid, limit * config.batch_size)
        forward = FORWARD_SHARE * step / config.batch_size * (epochs * validated + valid + test)
        return step * steps + forward + SECONDS_OF_CLASSIFIER

    size = config.image_size if arm.joint is None else classifier_image_size(settings, arm.joint)
    return PlannedTraining(
        f"classifier of {arm.name}",
        size,
        config.batch_size,
        steps,
        None,
        SECONDS_OF_CLASSIFIER,
        caution=_check_max_epochs(settings, "classifier", config.epochs),
        measure=measure,
    )


def _check_max_epochs(settings: Settings, group: str, epochs: int) -> str:
    """Return what to do if trainer.max_epochs is above a training's length, of which `group` is the configuration."""
    cap = settings.trainer.max_epochs
    if cap is None or cap <= epochs or settings.trainer.limit_batches is not None:
        return ""
    return f"trainer.max_epochs={cap}: only shortens trainings, and {group}.epochs has {epochs}; set it as well"


def _limit_steps(settings: Settings, epochs: int, per_epoch: int) -> int:
    limit = settings.trainer.limit_batches
    return settings.trainer.limit_epochs(epochs) * (per_epoch if limit is None else min(limit, per_epoch))


def _step_seconds(settings: Settings, steps: int, described: object, build: Build, can_measure: bool) -> float | None:
    """Return the seconds of a step; None for a short training, and on several devices, which would do it together."""
    if settings.trainer.is_distributed or steps < MIN_STEPS:
        return None
    return get_or_measure_step_seconds(settings.trainer, described, build, settings.data.cache_dir, can_measure)


def _join_alike(trainings: list[PlannedTraining]) -> list[PlannedTraining]:
    """Join classifiers that differ in their arm alone: "4 classifiers (none, oversample, undersample, dcgan)"."""
    groups: dict[tuple[int, int, int], list[PlannedTraining]] = {}
    for training in trainings:
        groups.setdefault((training.image_size, training.batch_size, training.steps), []).append(training)
    joined = []
    for group in groups.values():
        names = ", ".join(training.name.removeprefix("classifier of ") for training in group)
        name = group[0].name if len(group) == 1 else f"{len(group)} classifiers ({names})"
        fixed = sum(training.fixed_seconds for training in group)
        joined.append(replace(group[0], name=name, fixed_seconds=fixed, measure=partial(_measure_all, group)))
    return joined


def _measure_all(trainings: Sequence[PlannedTraining], can_measure: bool) -> float | None:
    """Return the seconds of all the trainings together; None if those of one are not known."""
    seconds = [training.measure(can_measure) for training in trainings if training.measure]
    return None if None in seconds else sum(filter(None, seconds))


def _advise_sizes(settings: Settings, data: PreparedData, trains_gan: bool) -> tuple[str, ...]:
    """Return which smaller sizes would do, where images are enlarged. trains_gan: whether a generator is trained."""
    side = data.cache.images.shape[1]
    sizes = {
        "gan.image_size": (settings.gan.image_size, next((size for size in GAN_SIZES if size >= side), side)),
        "classifier.image_size": (settings.classifier.image_size, max(side, GAN_SIZES[0])),
    }
    if not trains_gan:
        del sizes["gan.image_size"]
    smaller = {key: (size, enough) for key, (size, enough) in sizes.items() if enough**2 <= MAX_SHARE * size**2}
    if not smaller:
        return ()
    keys = " ".join(f"{key}={enough}" for key, (_, enough) in smaller.items())
    share = max(enough**2 / size**2 for size, enough in smaller.values())
    return (f"the images have {side} pixels and are enlarged; with {keys} a step takes about {share:.0%} of the time",)


def _advise_conditional(
    settings: Settings, data: PreparedData, needed: Mapping[str, int], place: slice, plan: Plan
) -> tuple[str, ...]:
    """Return what a conditional GAN would save, if several GANs are trained for one seed, `place` in the plan."""
    gans = plan.trainings[place]
    seconds = [training.seconds for training in gans]
    if len(gans) < 3 or None in seconds or not isinstance(settings.gan, GANConfig):
        return ()
    conditional = settings.gan.model_copy(update={"conditional": True})
    per_epoch = count_steps_per_epoch(conditional, data, data.classes)
    steps = _limit_steps(settings, settings.gan.epochs_for(per_epoch), per_epoch)
    first = gans[0]
    assert first.seconds is not None
    rest = SECONDS_OF_GAN + SECONDS_OF_AUDIT
    conditional_seconds = steps * (first.seconds - rest) / first.steps + SECONDS_OF_GAN + SECONDS_OF_AUDIT * len(needed)
    several = sum(filter(None, seconds))
    if conditional_seconds >= several:
        return ()
    return (
        f"gan=conditional trains one GAN instead of {len(gans)}, in about {format_rough_duration(conditional_seconds)} "
        f"instead of {format_rough_duration(several)} a seed",
    )
