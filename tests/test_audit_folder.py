"""Reference classifier, image scores and the audit of a folder: they notice planted faults, and none in real images."""

import shutil
from dataclasses import replace
from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from PIL import Image

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.audit import __main__ as command_line
from fer_experiments.audit import reference_training
from fer_experiments.audit.class_audit import ClassAudit, complete_audit
from fer_experiments.audit.finding import SEVERITY
from fer_experiments.audit.held_out import choose_held_out_images
from fer_experiments.audit.image_scores import ImageScorer, realism
from fer_experiments.audit.measures import NotMeasured
from fer_experiments.audit.record import FolderAuditRecord
from fer_experiments.audit.reference_training import compute_fingerprint, get_or_train_reference_classifier
from fer_experiments.classifier.head import find_last_linear
from fer_experiments.classifier.trained import PACKAGE_NETWORKS
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.errors import ConfigError
from fer_experiments.train.config import Config, save_config
from fer_experiments.train.read_run import read_run
from tests.pictures import LEAN, draw_many, noisy, write_class

COUNTS = {"train": 150, "valid": 100, "test": 60}
FRESH = 40  # seed of images that the split lacks
SIZE = 32  # of the classifier's images
SETTINGS = [
    "data.channels=1",
    "classifier.image_size=32",
    "reference_classifier.image_size=32",
    "reference_classifier.epochs=8",
    "accelerator=cpu",
]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A folder with the config.yaml and the split.csv of a run on drawn patterns."""
    root = tmp_path_factory.mktemp("patterns")
    for seed, (part, count) in enumerate(COUNTS.items()):
        for label in LEAN:
            write_class(root / part / label, draw_many(label, count, seed))
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        settings = ["data=folder", f"data.root={root}", *SETTINGS, "trainer.progress=false"]
        composed = hydra.compose("config", overrides=settings)
    folder = tmp_path_factory.mktemp("run")
    save_config(composed, folder)
    config = Config.read(composed)
    PreparedData.prepare(config.data, config.seed).split.save(folder / "split.csv")
    return folder


@pytest.fixture(scope="module")
def prepared(run_folder):
    """(audit settings, data, reference classifier)"""
    config, data = read_run(run_folder / "split.csv")
    settings = config.audit_settings
    return settings, data, get_or_train_reference_classifier(settings, data)


@pytest.mark.parametrize("accelerator", ["gpu", "auto"])  # by accelerator=gpu, by trainer=gpu
def test_a_run_of_a_gpu_can_be_read_without_one(run_folder, tmp_path, accelerator):
    shutil.copytree(run_folder, tmp_path / "run")
    config = OmegaConf.load(run_folder / "config.yaml")
    config.accelerator, config.trainer.accelerator = accelerator, "gpu"
    OmegaConf.save(config, tmp_path / "run" / "config.yaml")
    read, _ = read_run(tmp_path / "run" / "split.csv")
    assert (read.accelerator, read.trainer.accelerator) == ("auto", "auto")


def real(data, part: str, label: str) -> list[np.ndarray]:
    table = data.split.table
    rows = table.index[(table["split"] == part) & (table["label"] == label)]
    return [data.cache.images[row].squeeze(-1) for row in rows]


def stacked(images: list[np.ndarray]) -> np.ndarray:
    return np.stack(images)[..., None]


# The reference classifier


def test_the_reference_classifier_knows_the_classes_and_how_well_it_knows_them(prepared):
    _, data, reference = prepared
    assert reference.metrics["balanced_accuracy"] > 0.9
    assert reference.metrics["images"] == 200
    for place, label in enumerate(reference.classes):
        images = torch.from_numpy(stacked(real(data, "valid", label))).permute(0, 3, 1, 2)
        probabilities = reference.probabilities(images)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(100))
        assert float((probabilities.argmax(1) == place).double().mean()) == pytest.approx(
            reference.metrics["recall"][label]
        )


def test_its_features_are_the_inputs_of_the_last_layer(prepared):
    _, _, reference = prepared
    images = torch.randint(0, 256, (150, 1, 32, 32), dtype=torch.uint8)
    features = reference.features(images)
    _, layer = find_last_linear(reference.network, 2)
    assert features.shape == (150, layer.in_features)
    with torch.inference_mode():
        torch.testing.assert_close(layer(features), reference.network(images.float() / 255), atol=1e-4, rtol=1e-4)
    assert not layer._forward_pre_hooks


def test_the_reference_classifier_is_trained_once_for_a_split_and_on_training_images_alone(prepared, monkeypatch):
    settings, data, reference = prepared
    train_sets = []

    def record_training(settings, data, generated=None):
        train_sets.append(reference_training._training_images(settings, data, generated).train_set)
        return reference

    monkeypatch.setattr(reference_training, "train_reference_classifier", record_training)
    state = torch.get_rng_state()
    again = get_or_train_reference_classifier(replace(settings, seed=7), data)  # another arm, GAN or run
    assert not train_sets
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in reference.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name
    get_or_train_reference_classifier(settings, leak_to_gan(data))
    get_or_train_reference_classifier(with_keys(settings, "reference_classifier", epochs=9), data)
    assert len(train_sets) == 2
    rows = set(data.split.rows("train"))
    assert set(train_sets[1].rows) == rows
    assert set(train_sets[0].rows) == rows | set(data.split.rows("test"))  # a leak's is trained on what its GAN saw


def with_keys(settings, group: str, **keys):
    """Return the settings with other keys in a group."""
    return replace(settings, **{group: getattr(settings, group).model_copy(update=keys)})


def test_its_fingerprint_covers_what_changes_the_training_and_nothing_else(prepared, monkeypatch):
    settings, data, _ = prepared
    fingerprint = compute_fingerprint(settings, data)
    same = [
        replace(settings, seed=7),
        with_keys(
            settings, "reference_classifier", checkpoint_every=settings.reference_classifier.checkpoint_every + 1
        ),
        with_keys(settings, "trainer", progress=not settings.trainer.progress),
    ]
    assert {compute_fingerprint(changed, data) for changed in same} == {fingerprint}
    different = [
        with_keys(settings, "trainer", tf32=not settings.trainer.tf32),
        with_keys(settings, "trainer", precision="bf16-mixed"),
        with_keys(settings, "reference_classifier", epochs=9),
    ]
    fingerprints = {fingerprint, *(compute_fingerprint(changed, data) for changed in different)}
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    assert len(fingerprints | {compute_fingerprint(settings, data)}) == 5


def test_its_fingerprint_covers_the_source_of_a_users_network(prepared, monkeypatch, tmp_path):
    settings, data, _ = prepared
    network = dict(settings.reference_classifier.network)
    monkeypatch.setattr("fer_experiments.audit.reference_training.PACKAGE_NETWORKS", ())
    first = compute_fingerprint(settings, data)
    (tmp_path / "changed.py").write_text("changed")
    monkeypatch.setattr("inspect.getsourcefile", lambda target: str(tmp_path / "changed.py"))
    assert compute_fingerprint(settings, data) != first
    monkeypatch.undo()
    assert network["_target_"] in PACKAGE_NETWORKS
    assert compute_fingerprint(settings, data) != first


def test_a_broken_file_of_the_reference_classifier_is_named_with_the_remedy(prepared, tmp_path):
    settings, data, _ = prepared
    path = tmp_path / "broken.pt"
    path.write_bytes(b"nothing")
    message = r"the reference classifier .*broken\.pt can't be read: .*; remove the file, and it is trained again"
    with pytest.raises(ConfigError, match=message):
        reference_training._load(settings, data, path)


def test_a_cache_that_cant_be_written_is_named(prepared, tmp_path):
    settings, data, _ = prepared
    blocked = tmp_path / "file"
    blocked.write_text("")
    elsewhere = replace(data, source=data.source.model_copy(update={"cache_dir": blocked}))
    with pytest.raises(ConfigError, match=r"data\.cache_dir=.*file: can't be written"):
        get_or_train_reference_classifier(settings, elsewhere)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "reference_classifier.checkpoint=best",
            r"reference_classifier\.checkpoint=best: the reference classifier is always that of the last epoch; "
            "use last",
        ),
        ("reference_classifier.epochs=0", r"reference_classifier\.epochs=0: .*greater than or equal to 1"),
        ("reference_classifier.image_size=20", r"reference_classifier\.network=.*need 22 pixels or more"),
        (
            f"reference_classifier.network={{_target_: {__name__}.Headless}}",
            "has no nn.Linear with as many outputs as classes",
        ),
    ],
)
def test_a_reference_classifier_that_cant_be_built_is_refused(read, override, message):
    with pytest.raises(ConfigError, match=message):
        read("~reference_classifier.network", f"+{override}") if "Headless" in override else read(override)


class Headless(torch.nn.Module):
    def __init__(self, num_classes: int, channels: int, image_size: int) -> None:
        super().__init__()


# Image scores


def test_five_percent_of_real_images_have_each_fault(prepared):
    _, data, reference = prepared
    scorer = ImageScorer(data, reference, "flat", SIZE)
    assert scorer.calibrated_on == "100 validation images of flat"
    scores = scorer(stacked(draw_many("flat", 400, FRESH)))
    for fault in ("memorised", "off_class", "low_quality"):
        assert scores[fault].mean() == pytest.approx(0.05, abs=0.06), fault  # of 100 images, one place is 1%


def test_scores_notice_copies_images_of_another_class_and_noise(prepared):
    _, data, reference = prepared
    rng = np.random.default_rng(0)
    copies = [noisy(image[:, ::-1], rng) for image in real(data, "train", "flat")[:10]]
    steep = draw_many("steep", 10, FRESH)
    noise = list(rng.integers(0, 256, (10, 32, 32), dtype=np.uint8))
    scores = ImageScorer(data, reference, "flat", SIZE)(stacked([*copies, *steep, *noise]))
    assert list(scores) == [
        "nearest_distance", "label_probability", "realism", "memorised", "off_class", "low_quality",
    ]  # fmt: skip
    assert scores["memorised"].tolist() == [True] * 10 + [False] * 20
    assert scores["off_class"][:10].mean() <= 0.2
    assert scores["off_class"][10:20].mean() >= 0.8
    assert scores["low_quality"][:10].mean() <= 0.2
    assert scores["low_quality"][20:].mean() >= 0.8


def test_thresholds_of_a_class_with_few_validation_images_come_from_all_classes(prepared):
    _, data, reference = prepared
    table = data.split.table
    valid = table.index[(table["split"] == "valid") & (table["label"] == "flat")]
    few = replace(data, split=replace(data.split, table=table.drop(valid[5:])))
    scorer = ImageScorer(few, reference, "flat", SIZE)
    assert scorer.calibrated_on == "105 validation images of all classes"
    assert scorer(stacked(draw_many("steep", 10, FRESH)))["off_class"].mean() >= 0.8


def test_realism_is_the_largest_ratio_over_the_smaller_balls():
    reference = torch.tensor([[0.0], [1.0], [10.0]], dtype=torch.float64)  # radii to the second neighbour: 10, 9, 10
    assert realism(torch.tensor([[3.0], [1.0]], dtype=torch.float64), reference).tolist() == pytest.approx(
        [10 / 3, 9e12], rel=0.5
    )
    assert realism(torch.zeros(2, 1, dtype=torch.float64), reference[:1]).isnan().all()


# Planted faults


def statuses(prepared, label: str, images: list[np.ndarray], folder: Path) -> dict[str, str]:
    settings, data, reference = prepared
    names = np.array([str(number) for number in range(len(images))])
    generated = GeneratedImages(stacked(images), np.array([label] * len(images)), names)
    audit = ClassAudit(label=label, generated=len(images), synthetic="")
    audit = complete_audit(audit, settings, data, reference, generated, folder)
    return {name: finding.status for name, finding in audit.checks.items()}


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_of_training_images_fail_memorisation(prepared, tmp_path, mirrored):
    rng = np.random.default_rng(1)
    images = [noisy(image[:, ::-1] if mirrored else image, rng) for image in real(prepared[1], "train", "steep")[:60]]
    checks = statuses(prepared, "steep", images, tmp_path)
    assert checks["memorisation"] == "fail"
    assert {checks[name] for name in ("leakage", "collapse", "labels")} == {"pass"}


@pytest.mark.parametrize("part", ["valid", "test"])
def test_copies_of_held_out_images_fail_leakage(prepared, tmp_path, part):
    rng = np.random.default_rng(2)
    images = [noisy(image, rng) for image in real(prepared[1], part, "flat")[:60]]
    checks = statuses(prepared, "flat", images, tmp_path)
    assert checks["leakage"] == "fail"
    assert checks["memorisation"] != "fail"


def test_copies_of_unused_images_fail_leakage(prepared, tmp_path):
    settings, data, reference = prepared
    table = data.split.table
    few = table[table["split"] == "train"].groupby("label").head(40)
    split = replace(data.split, table=pd.concat([few, table[table["split"] != "train"]]))
    data = replace(data, split=split)
    unused = choose_held_out_images(data, "flat")
    assert (unused.source, len(unused.table)) == ("unused", 110)
    rng = np.random.default_rng(2)
    images = [noisy(data.cache.images[row].squeeze(-1), rng) for row in unused.table.index[:60]]
    checks = statuses((settings, data, reference), "flat", images, tmp_path)
    assert checks["leakage"] == "fail"
    assert checks["memorisation"] != "fail"


def test_many_copies_of_one_image_fail_collapse(prepared, tmp_path):
    rng = np.random.default_rng(3)
    image = draw_many("flat", 1, FRESH)[0]
    checks = statuses(prepared, "flat", [noisy(image, rng) for _ in range(60)], tmp_path)
    assert checks["collapse"] == "fail"
    assert checks["coverage"] == "fail"


def test_images_of_another_class_fail_labels(prepared, tmp_path):
    checks = statuses(prepared, "flat", draw_many("steep", 60, FRESH), tmp_path)
    assert checks["labels"] == "fail"
    assert checks["collapse"] == "pass"


# The command line


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "images"
    for label in LEAN:
        write_class(folder / label, draw_many(label, 80, FRESH + 1))
    return folder


def test_real_images_pass_every_check_and_are_as_useful(honest, run_folder, capsys, tmp_path):
    assert command_line.main([str(honest), "--split", str(run_folder / "split.csv"), "--out", str(tmp_path)]) == 0
    audit = FolderAuditRecord.load(tmp_path)
    assert {name: finding.status for name, finding in audit.checks.items()} == dict.fromkeys(
        ("leakage", "memorisation", "collapse", "labels", "shortcut", "coverage"), "pass"
    )
    for headline in (audit.headline, *(of_class.headline for of_class in audit.classes.values())):
        assert headline["memorised_fraction"] < 0.15
        assert abs(headline["ct"]) < 3
        assert headline["authenticity"] == pytest.approx(0.5, abs=0.2)
        for name in ("coverage", "precision", "recall", "label_agreement", "usefulness"):
            assert 0.8 < headline[name] <= 1, name
        assert headline["density"] == pytest.approx(1, abs=0.3)
        assert headline["kid"] == pytest.approx(0, abs=0.05)
    for learned in (audit.learned_from_generated, audit.learned_from_real):
        assert learned["held_out"] == {label: {"images": 100, "source": "validation"} for label in LEAN}
    measures = ClassAudit.model_validate(audit.classes["flat"].model_dump()).measures
    assert measures.distance.low < 0 < measures.distance.high
    assert isinstance(measures.frechet_distance, NotMeasured)
    assert Image.open(tmp_path / "nearest.png").size == (8 * 34 + 2, 2 * (2 * 34 + 2))
    output = capsys.readouterr().out
    assert "label_agreement" in output
    assert "100 validation" in output
    assert "memorisation  pass" in output


def test_swapped_folders_of_any_size_and_mode_fail_with_status_1(run_folder, tmp_path, capsys):
    folder = tmp_path / "images"
    for label, pattern in (("flat", "steep"), ("steep", "flat")):
        write_class(folder / label, draw_many(pattern, 40, FRESH + 2))
    Image.open(folder / "flat" / "0000.png").resize((70, 50)).convert("RGB").save(folder / "flat" / "0000.jpg")
    (folder / "flat" / "notes.txt").write_text("no image")
    (folder / "manifest.csv").write_text("file,split_hash\nflat/0000.png,another\n")
    assert command_line.main([str(folder), "--split", str(run_folder / "split.csv"), "--no-usefulness"]) == 1
    audit = FolderAuditRecord.load(tmp_path / "audit")  # beside the folder
    assert audit.checks["labels"].status == "fail"
    assert audit.headline["usefulness"] is None
    assert audit.learned_from_generated == audit.learned_from_real == {"not_measured": "it was not requested"}
    assert audit.classes["flat"].generated == 41
    assert audit.checks["leakage"].status != "pass"
    assert "made from another split (another)" in audit.checks["leakage"].message
    assert max(SEVERITY.index(audit.checks[name].status) for name in ("memorisation", "collapse")) < 2


def test_what_cant_be_audited_is_named_with_status_2(honest, run_folder, tmp_path, capsys):
    split = run_folder / "split.csv"
    write_class(tmp_path / "slanted" / "slanted", draw_many("flat", 1, 0))
    (tmp_path / "empty" / "flat").mkdir(parents=True)
    (tmp_path / "corrupt" / "flat").mkdir(parents=True)
    (tmp_path / "corrupt" / "flat" / "0.png").write_bytes(b"no image")
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "split.csv").write_bytes(split.read_bytes())
    changed = run_folder / "seed_3"
    changed.mkdir()
    (changed / "split.csv").write_bytes(split.read_bytes().replace(b",train,", b",test,", 1))
    for folder, split_file, message in (
        (tmp_path / "slanted", split, "slanted is not a class of the split; it has flat, steep"),
        (tmp_path / "empty", split, "has no images in CLASS/*.png"),
        (tmp_path / "corrupt", split, "0.png: can't be read"),
        (tmp_path / "nowhere", split, "is not a folder"),
        (honest, tmp_path / "lone" / "split.csv", "has no config.yaml beside it or above"),
        (honest, tmp_path / "none.csv", "can't be read"),
        (honest, changed / "split.csv", "is not the split that"),
    ):
        assert command_line.main([str(folder), "--split", str(split_file), "--no-usefulness"]) == 2, folder
        assert message in capsys.readouterr().err
