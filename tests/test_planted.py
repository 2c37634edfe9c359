"""The judge, the scores and the audit of a folder: planted faults are found, and real images have none."""

import json
from dataclasses import replace
from pathlib import Path

import hydra
import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from fer_experiments import audit
from fer_experiments.__main__ import CONF_DIR
from fer_experiments.classifier.head import last_linear
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import ImageData
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.findings import ORDER
from fer_experiments.train import judge as judges
from fer_experiments.train.audit_folder import read_run
from fer_experiments.train.config import Config, save
from fer_experiments.train.facts import facts_of_class
from fer_experiments.train.judge import find_judge
from fer_experiments.train.scores import ImageScorer, realism, score_images
from tests.pictures import LEAN, draw_many, noisy, write_class

COUNTS = {"train": 150, "valid": 100, "test": 60}
FRESH = 40  # seed of images that the split lacks
SETTINGS = ["data.channels=1", "classifier.image_size=32", "judge.image_size=32", "judge.epochs=8", "accelerator=cpu"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """config.yaml and split.csv of a run on drawn patterns."""
    root = tmp_path_factory.mktemp("patterns")
    for seed, (part, count) in enumerate(COUNTS.items()):
        for label in LEAN:
            write_class(root / part / label, draw_many(label, count, seed))
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        settings = ["data=folder", f"data.root={root}", *SETTINGS, "trainer.progress=false"]
        composed = hydra.compose("config", overrides=settings)
    folder = tmp_path_factory.mktemp("run")
    save(composed, folder)
    config = Config.read(composed)
    ImageData.prepare(config.data, config.seed).split.save(folder / "split.csv")
    return folder


@pytest.fixture(scope="module")
def prepared(run_folder):
    """(config, data, judge)"""
    config, data = read_run(run_folder / "split.csv")
    return config, data, find_judge(config, data)


def real(data, part: str, label: str) -> list[np.ndarray]:
    table = data.split.table
    rows = table.index[(table["split"] == part) & (table["label"] == label)]
    return [data.cache.images[row].squeeze(-1) for row in rows]


def stacked(images: list[np.ndarray]) -> np.ndarray:
    return np.stack(images)[..., None]


# The judge


def test_the_judge_knows_the_classes_and_says_how_well(prepared):
    _, data, judge = prepared
    assert judge.measured["balanced_accuracy"] > 0.9
    assert judge.measured["images"] == 200
    for place, label in enumerate(judge.classes):
        images = torch.from_numpy(stacked(real(data, "valid", label))).permute(0, 3, 1, 2)
        probabilities = judge.probabilities(images)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(100))
        assert float((probabilities.argmax(1) == place).double().mean()) == pytest.approx(
            judge.measured["recall"][label]
        )


def test_its_features_are_what_the_last_layer_gets(prepared):
    _, _, judge = prepared
    images = torch.randint(0, 256, (150, 1, 32, 32), dtype=torch.uint8)
    features = judge.features(images)
    _, layer = last_linear(judge.network, 2)
    assert features.shape == (150, layer.in_features)
    with torch.inference_mode():
        torch.testing.assert_close(layer(features), judge.network(images.float() / 255), atol=1e-4, rtol=1e-4)
    assert not layer._forward_pre_hooks


def test_the_judge_is_trained_once_for_a_split_and_by_training_images_alone(prepared, monkeypatch):
    config, data, judge = prepared
    trained = []

    def watched(config, data, generated=None):
        trained.append(judges._images(config, data, generated).train_set)
        return judge

    monkeypatch.setattr(judges, "train_judge", watched)
    state = torch.get_rng_state()
    again = find_judge(config.model_copy(update={"seed": 7}), data)  # another arm, GAN or run
    assert not trained
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in judge.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name
    find_judge(config, leak_to_gan(data))
    find_judge(config.model_copy(update={"judge": config.judge.model_copy(update={"epochs": 9})}), data)
    assert len(trained) == 2
    rows = set(data.split.rows("train"))
    assert set(trained[1].rows) == rows
    assert set(trained[0].rows) == rows | set(data.split.rows("test"))  # what leaks is what its GAN saw


def test_a_broken_judge_is_named_with_the_remedy(prepared, monkeypatch, tmp_path):
    config, data, _ = prepared
    path = tmp_path / "judges" / "broken.pt"
    path.parent.mkdir()
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"the judge .*broken\.pt can't be read: .*; remove it"):
        judges._load(config, data, path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    elsewhere = config.model_copy(update={"data": config.data.model_copy(update={"cache_dir": blocked})})
    with pytest.raises(ConfigError, match=r"data\.cache_dir=.*file: can't be written"):
        find_judge(elsewhere, data)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("judge.select=best", "judge.select=best: the judge is always the last epoch's; use last"),
        ("judge.epochs=0", r"judge\.epochs=0: .*greater than or equal to 1"),
        ("judge.image_size=20", r"judge\.network=.*need 22 pixels or more"),
        ("judge.network={_target_: tests.test_planted.Headless}", "has no nn.Linear with as many outputs as classes"),
    ],
)
def test_a_judge_that_cant_be_is_refused(read, override, message):
    with pytest.raises(ConfigError, match=message):
        read("~judge.network", f"+{override}") if "Headless" in override else read(override)


class Headless(torch.nn.Module):
    def __init__(self, num_classes: int, channels: int, image_size: int) -> None:
        super().__init__()


# Scores


def test_five_percent_of_real_images_have_each_fault(prepared):
    config, data, judge = prepared
    scorer = ImageScorer(config, data, judge, "flat")
    assert scorer.calibrated_on == "100 held-out images of flat"
    scores = scorer(stacked(draw_many("flat", 400, FRESH)))
    for fault in ("memorised", "off_class", "low_quality"):
        assert scores[fault].mean() == pytest.approx(0.05, abs=0.06), fault  # of 100 held-out images, one place is 1 %


def test_scores_find_copies_other_classes_and_noise(prepared):
    config, data, judge = prepared
    rng = np.random.default_rng(0)
    copies = [noisy(image[:, ::-1], rng) for image in real(data, "train", "flat")[:10]]
    others = draw_many("steep", 10, FRESH)
    noise = list(rng.integers(0, 256, (10, 32, 32), dtype=np.uint8))
    scores = score_images(config, data, judge, stacked([*copies, *others, *noise]), "flat")
    assert list(scores) == [
        "nearest_distance", "label_probability", "realism", "memorised", "off_class", "low_quality",
    ]  # fmt: skip
    assert scores["memorised"].tolist() == [True] * 10 + [False] * 20
    assert scores["off_class"][:10].mean() <= 0.2
    assert scores["off_class"][10:20].mean() >= 0.8
    assert scores["low_quality"][:10].mean() <= 0.2
    assert scores["low_quality"][20:].mean() >= 0.8


def test_a_class_with_few_held_out_images_borrows_those_of_the_others(prepared):
    config, data, judge = prepared
    table = data.split.table
    valid = table.index[(table["split"] == "valid") & (table["label"] == "flat")]
    few = replace(data, split=replace(data.split, table=table.drop(valid[5:])))
    scorer = ImageScorer(config, few, judge, "flat")
    assert scorer.calibrated_on == "105 held-out images of all classes"
    assert scorer(stacked(draw_many("steep", 10, FRESH)))["off_class"].mean() >= 0.8


def test_realism_is_the_largest_ratio_over_the_smaller_balls():
    reference = torch.tensor([[0.0], [1.0], [10.0]], dtype=torch.float64)  # radii to the second neighbour: 10, 9, 10
    assert realism(torch.tensor([[3.0], [1.0]], dtype=torch.float64), reference).tolist() == pytest.approx(
        [10 / 3, 9e12], rel=0.5
    )
    assert realism(torch.zeros(2, 1, dtype=torch.float64), reference[:1]).isnan().all()


# Planted faults


def statuses(prepared, label: str, images: list[np.ndarray], folder: Path) -> dict[str, str]:
    config, data, judge = prepared
    names = np.array([str(number) for number in range(len(images))])
    made = GeneratedImages(stacked(images), np.array([label] * len(images)), names)
    facts = facts_of_class(config, data, judge, label, made, folder)
    return {name: check["status"] for name, check in facts["checks"].items()}


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_of_training_images_fail_memorisation(prepared, tmp_path, mirrored):
    rng = np.random.default_rng(1)
    images = [noisy(image[:, ::-1] if mirrored else image, rng) for image in real(prepared[1], "train", "steep")[:60]]
    found = statuses(prepared, "steep", images, tmp_path)
    assert found["memorisation"] == "fail"
    assert {found[name] for name in ("leakage", "collapse", "labels")} == {"pass"}


@pytest.mark.parametrize("part", ["valid", "test"])
def test_copies_of_held_out_images_fail_leakage(prepared, tmp_path, part):
    rng = np.random.default_rng(2)
    images = [noisy(image, rng) for image in real(prepared[1], part, "flat")[:60]]
    found = statuses(prepared, "flat", images, tmp_path)
    assert found["leakage"] == "fail"
    assert found["memorisation"] != "fail"


def test_one_image_again_and_again_fails_collapse(prepared, tmp_path):
    rng = np.random.default_rng(3)
    one = draw_many("flat", 1, FRESH)[0]
    found = statuses(prepared, "flat", [noisy(one, rng) for _ in range(60)], tmp_path)
    assert found["collapse"] == "fail"
    assert found["coverage"] == "fail"


def test_the_other_classs_images_fail_labels(prepared, tmp_path):
    found = statuses(prepared, "flat", draw_many("steep", 60, FRESH), tmp_path)
    assert found["labels"] == "fail"
    assert found["collapse"] == "pass"


# The command


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "images"
    for label in LEAN:
        write_class(folder / label, draw_many(label, 80, FRESH + 1))
    return folder


def test_real_images_pass_every_check_and_are_as_useful(honest, run_folder, capsys, tmp_path):
    assert audit.main([str(honest), "--split", str(run_folder / "split.csv"), "--out", str(tmp_path)]) == 0
    facts = json.loads((tmp_path / "audit.json").read_text())
    assert {name: check["status"] for name, check in facts["checks"].items()} == dict.fromkeys(
        ("leakage", "memorisation", "collapse", "labels", "shortcut", "coverage"), "pass"
    )
    for where in (facts, *facts["classes"].values()):
        assert where["memorised_fraction"] < 0.15
        assert abs(where["ct"]) < 3
        assert where["authenticity"] == pytest.approx(0.5, abs=0.2)
        for name in ("coverage", "precision", "recall", "label_agreement", "usefulness"):
            assert 0.8 < where[name] <= 1, name
        assert where["density"] == pytest.approx(1, abs=0.3)
        assert where["kid"] == pytest.approx(0, abs=0.05)
    assert facts["classes"]["flat"]["distance"]["low"] < 0 < facts["classes"]["flat"]["distance"]["high"]
    assert "not_measured" in facts["classes"]["flat"]["frechet_distance"]
    assert Image.open(tmp_path / "nearest.png").size == (8 * 34 + 2, 2 * (2 * 34 + 2))
    said = capsys.readouterr().out
    assert "label_agreement" in said
    assert "memorisation  pass" in said


def test_swapped_folders_of_any_size_and_mode_fail_with_status_1(run_folder, tmp_path, capsys):
    folder = tmp_path / "images"
    for label, other in (("flat", "steep"), ("steep", "flat")):
        write_class(folder / label, draw_many(other, 40, FRESH + 2))
    Image.open(folder / "flat" / "0000.png").resize((70, 50)).convert("RGB").save(folder / "flat" / "0000.jpg")
    (folder / "flat" / "notes.txt").write_text("no image")
    (folder / "manifest.csv").write_text("file,split_hash\nflat/0000.png,another\n")
    assert audit.main([str(folder), "--split", str(run_folder / "split.csv"), "--no-usefulness"]) == 1
    facts = json.loads((tmp_path / "audit" / "audit.json").read_text())  # beside the folder
    assert facts["checks"]["labels"]["status"] == "fail"
    assert facts["usefulness"] is None
    assert facts["classes"]["flat"]["generated"] == 41
    assert facts["checks"]["leakage"]["status"] != "pass"
    assert "names another split (another)" in facts["checks"]["leakage"]["said"]
    assert max(ORDER.index(facts["checks"][name]["status"]) for name in ("memorisation", "collapse")) < 2


def test_what_cant_be_audited_is_told_with_status_2(honest, run_folder, tmp_path, capsys):
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
    for folder, of, message in (
        (tmp_path / "slanted", split, "slanted is no class of the split; it has flat, steep"),
        (tmp_path / "empty", split, "has no images in CLASS/*.png"),
        (tmp_path / "corrupt", split, "0.png: can't be read"),
        (tmp_path / "nowhere", split, "is no folder"),
        (honest, tmp_path / "lone" / "split.csv", "has no config.yaml beside it or above"),
        (honest, tmp_path / "none.csv", "can't be read"),
        (honest, changed / "split.csv", "is not the split that"),
    ):
        assert audit.main([str(folder), "--split", str(of), "--no-usefulness"]) == 2, folder
        assert message in capsys.readouterr().err
