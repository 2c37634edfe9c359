"""Checks of the images and their parts."""

from fer_experiments.enumeration import enumerate_names
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.report.checks.check import Check, StudyFiles
from fer_experiments.report.leakage import find_leaks
from fer_experiments.report.study_record import training_key

NEAR_DUPLICATES_FAIL = 0.05  # of the test images
UNLIKE_PAIRS = 0.8  # of the share that two classes have among all pairs; copies mostly have one class
MIN_OF_CLASS = 50  # with n images the 95% interval of a recall is at most +-1.96 sqrt(0.25 / n), 14 points
MIN_GROUPS = 10  # of which a class has images in a part
PARTS = {"test": "test", "valid": "validation"}


def check_same_split(study: StudyFiles) -> Check:
    """Check that the arms of a seed have one split. Arms with other settings of the data may have another."""
    splits: dict[tuple[int, str], set[str]] = {}
    for result in study.record.results:
        splits.setdefault((result.seed, ArmName.parse(result.arm).data), set()).add(result.split_hash)
    mixed = sorted({seed for (seed, _), hashes in splits.items() if len(hashes) > 1})
    each_setting = " and setting of the data" if len({data for _, data in splits}) > 1 else ""
    message = f"All arms of a seed{each_setting} were trained and measured on the same split."
    if mixed:
        seeds = ", ".join(map(str, mixed))
        message = f"The arms of seed {seeds} saw different splits; only arms with the same split are compared."
    return Check("same split for all arms", "fail" if mixed else "pass", message, "seed_*/ARM/result.json")


def check_no_leakage(study: StudyFiles) -> Check:
    """Check the files themselves: the images of training against those of validation and test."""
    name, source = "test images unseen in training", "training.csv, split.csv, predictions.npz, manifest.csv"
    leaks, unreadable = [], []
    clean = [result for result in study.record.results if not ArmName.parse(result.arm).leak]
    for result in clean:
        training = training_key(result.seed, result.arm)
        try:
            sentences = find_leaks(result, study.record.folder_of(result, study.folder))
        except (OSError, ValueError, KeyError) as error:
            unreadable.append(f"{training}: {error}")
        else:
            leaks += [f"{training}: {sentence}" for sentence in sentences]
    if leaks:
        return Check(name, "fail", f"{'; '.join(leaks)}.", source)
    if unreadable:
        return Check(name, "unknown", f"Can't be checked: {'; '.join(unreadable)}", source)
    message = (
        f"In {len(clean)} trainings no real training image, nor a pixel-identical one, lies in validation or test, "
        "and all images of GANs come from the same split."
    )
    return Check(name, "pass", message, source)


def check_near_duplicates(study: StudyFiles) -> Check:
    name, source = "parts share no near-duplicates", "data.json, near_duplicates.csv"
    near_duplicates = study.facts.near_duplicates
    if near_duplicates is None:
        return Check(name, "unknown", "data.json does not say whether there are any.", source)
    pairs, images = near_duplicates["pairs"], near_duplicates["test_images"]
    if not pairs:
        return Check(name, "pass", "None found (perceptual hash).", source)
    total, unlike = max(1, study.facts.test_images), near_duplicates.get("cross_label_pairs", 0)
    message = (
        f"Pairs of alike images in different parts (shown below): {pairs:,}; test images in them: {images:,} of "
        f"{total:,}."
    )
    if unlike:
        message += f" {unlike:,} of the pairs are of two classes."
    if unlike and unlike >= UNLIKE_PAIRS * _share_of_unlike_pairs(study) * pairs:
        message += " That is nearly as many as by chance, so the perceptual hash does not tell these images apart."
        return Check(name, "warn", message, source)
    message += " Such images make the test scores of all arms too good."
    if not study.facts.groups:
        message += " If they are of one person or film, data.group_pattern keeps these in one part."
    return Check(name, "fail" if images / total >= NEAR_DUPLICATES_FAIL else "warn", message, source)


def _share_of_unlike_pairs(study: StudyFiles) -> float:
    """Return the share of pairs of test images that are of two classes."""
    counts = study.facts.images.get("test", {}).values()
    return 1 - sum((count / max(1, sum(counts))) ** 2 for count in counts)


def check_test_images(study: StudyFiles) -> Check:
    name, source = "test part", "seed_*/ARM/result.json, data.json"
    metrics = [result.metrics["test"] for result in study.record.results]
    used, total = min(test["images"] for test in metrics), study.facts.test_images
    absent = sorted({label for test in metrics for label, recall in test["recall"].items() if recall is None})
    if used < total:
        return Check(name, "fail", f"Only {used:,} of the {total:,} test images were used.", source)
    if absent:
        message = (
            f"The test part has no image of {enumerate_names(absent)}: no result is about it, and means are over the "
            "other classes."
        )
        return Check(name, "warn", message, source)
    return Check(name, "pass", f"{used:,} real images, with some of every class.", source)


def check_class_sizes(study: StudyFiles) -> Check:
    """Warn of classes with so few images that little can be said of them, however many seeds there are."""
    images = study.facts.images
    smallest = {part: min(images.get(part, {"": 0}).items(), key=lambda item: item[1]) for part in PARTS}
    few = [f"{n} {PARTS[part]} images of {name}" for part, (name, n) in smallest.items() if 0 < n < MIN_OF_CLASS]
    source = "data.json"
    if few:
        message = (
            f"There are {' and '.join(few)}. A recall on fewer than {MIN_OF_CLASS} is known to within 14 points at "
            f"best, and what is chosen on so few is chosen by luck; {MIN_OF_CLASS} or more of each class would do "
            "(data.test_fraction, data.valid_fraction, more images)."
        )
        return Check("enough images of each class", "warn", message, source)
    if not all(count for _, count in smallest.values()):
        return Check(
            "enough images of each class", "unknown", "It is not known how many images each class has.", source
        )
    message = f"Every class has {MIN_OF_CLASS} or more test and validation images."
    return Check("enough images of each class", "pass", message, source)


def check_groups(study: StudyFiles) -> Check | None:
    """Warn of classes whose images are of few groups, however many images there are; None if the data has no groups."""
    if not study.facts.groups:
        return None
    few = [
        f"{n} {PARTS[part]} {'group' if n == 1 else 'groups'} with {name}"
        for part in PARTS
        for name, n in study.facts.groups.get(part, {}).items()
        if n < MIN_GROUPS
    ]
    message = f"No group lies in two parts, and every class has {MIN_GROUPS} or more test and validation groups."
    if few:
        message = (
            f"No group lies in two parts, but there are only {enumerate_names(few)}. A group counts as one image, and "
            f"an interval over fewer than {MIN_GROUPS} is rough."
        )
    return Check("enough groups of each class", "warn" if few else "pass", message, "data.json")
