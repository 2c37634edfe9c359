"""Checks of generated images: the shortcut probe, memorisation, and what a job leaves of them."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import mannwhitneyu, norm
from torchvision.transforms.v2.functional import resize

from fer_experiments.classifier.probe import NotMeasured, Probe, auroc_interval, shortcut_probe
from fer_experiments.evaluation.nearest import (
    Features,
    copying_z,
    held_out_copies,
    memorisation,
    nearest,
    nearest_other,
    pixel_features,
)
from fer_experiments.report.study import StudyRecord
from fer_experiments.train import audit

# The shortcut probe


def noise(count: int, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def test_probe_is_at_chance_between_two_halves_of_one_set():
    images = noise(128, side=48)
    found = shortcut_probe(images[::2], images[1::2], seed=0)
    assert isinstance(found, Probe)
    assert 0.35 < found.auroc < 0.65
    assert found.low < 0.5 < found.high
    assert found.images == 64


@pytest.mark.parametrize("swapped", [False, True])
def test_probe_sees_that_images_were_enlarged_whichever_kind_they_are(swapped):
    kinds = [noise(48), resize(noise(64, side=32, seed=1), [64, 64], antialias=True)]
    # The same range of brightness, so that only the enlargement tells.
    kinds[1] = ((kinds[1].float() - 127) * 1.6 + 127).clamp(0, 255).byte()
    found = shortcut_probe(*reversed(kinds) if swapped else kinds, seed=0)
    assert isinstance(found, Probe)
    assert found.auroc > 0.9
    assert found.images == 48


def test_probe_repeats_itself_and_leaves_the_random_state():
    images = noise(40, side=32)
    state = torch.get_rng_state()
    first, second = (shortcut_probe(images[:20], images[20:], seed=3) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_probe_of_few_images_says_why_there_is_no_number():
    found = shortcut_probe(noise(40), noise(7), seed=0)
    assert found == NotMeasured("40 real and 7 generated images; 16 of each are needed")


def test_probe_of_images_that_its_layers_would_use_up_is_not_measured():
    found = shortcut_probe(noise(20, side=16), noise(20, side=16), seed=0)
    assert found == NotMeasured("images of 16 pixels; 22 are needed")


def test_auroc_interval_contains_its_value_and_shrinks_with_more_images():
    for auroc in (0.0, 0.3, 0.5, 0.97, 1.0):
        (low, high), (nearer_low, nearer_high) = (auroc_interval(auroc, count, count) for count in (20, 200))
        assert 0 <= low <= nearer_low <= auroc <= nearer_high <= high <= 1
        assert high - low > nearer_high - nearer_low
    assert auroc_interval(1.0, 20, 20)[0] < 1  # 20 of each that are told apart are no proof
    low, high = auroc_interval(0.3, 30, 50)
    assert auroc_interval(0.7, 30, 50) == pytest.approx((1 - high, 1 - low))


# Memorisation


def gaussians(count: int, seed: int) -> Features:
    """Features whose mirror images are elsewhere, and so change nothing by themselves."""
    plain = torch.randn(count, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Features(plain, plain + 100)


def shifted(features: Features, by: float) -> Features:
    return Features(features.plain + by, features.mirrored + by)


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_of_training_images_are_all_memorised_and_name_their_image(mirrored):
    train, held_out = gaussians(300, 0), gaussians(60, 1)
    chosen = torch.arange(0, 300, 7)
    copies = train[chosen] if not mirrored else Features(train.mirrored[chosen], train.plain[chosen])
    distances, places = nearest(copies.plain, train)
    assert places.tolist() == chosen.tolist()
    assert distances.max() < 1e-4
    found = memorisation(copies, train, held_out)
    assert (found.share, found.authenticity) == (1, 0)
    assert found.ct < -5


def test_fresh_samples_give_the_expected_share_ct_and_authenticity():
    train = gaussians(400, 0)
    found = [memorisation(gaussians(400, 2 + seed), train, gaussians(99, 50 + seed)) for seed in range(20)]
    table = pd.DataFrame(found)
    assert table["chance"].min() > 0.001
    assert table["chance"].mean() == pytest.approx(0.5, abs=0.2)  # uniform, but for whole numbers of images
    assert table["share"].mean() == pytest.approx(0.05, abs=0.02)
    assert table["ct"].mean() == pytest.approx(0, abs=0.6)
    assert 0.5 < table["ct"].std() < 1.5
    assert table["authenticity"].mean() == pytest.approx(table["real_authenticity"].mean(), abs=0.03)


def test_far_away_images_are_not_memorised():
    found = memorisation(shifted(gaussians(100, 2), 20), gaussians(400, 0), gaussians(100, 1))
    assert (found.share, found.authenticity) == (0, 1)
    assert found.ct > 5


def test_few_held_out_images_give_no_memorisation():
    with pytest.raises(ValueError, match="19 held-out images of the class; 20 are needed"):
        memorisation(gaussians(50, 0), gaussians(50, 1), gaussians(19, 2))
    assert memorisation(gaussians(50, 0), gaussians(50, 1), gaussians(20, 2)).share < 1


def test_ct_is_scipys_normal_approximation():
    first, second = (gaussians(count, count).plain[:, 0] for count in (40, 70))
    p = mannwhitneyu(first.numpy(), second.numpy(), method="asymptotic", use_continuity=False).pvalue
    assert 2 * norm.sf(abs(copying_z(first, second))) == pytest.approx(p)
    assert copying_z(first, second) == pytest.approx(-copying_z(second, first))


def test_an_image_is_not_its_own_neighbour_nor_is_its_mirror_image():
    plain = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    train = Features(plain, torch.tensor([[0.1], [9.0], [3.5]], dtype=torch.float64))
    assert nearest_other(torch.tensor([0, 1, 2]), train).tolist() == pytest.approx([1.0, 0.9, 4.0])


def test_copies_of_held_out_images_are_found_and_fresh_or_trained_ones_are_not():
    train, held_out, fresh = gaussians(300, 0), gaussians(80, 1), gaussians(400, 2)
    copied = held_out_copies(held_out[:40], train, held_out)
    assert (copied.share, copied.images) == (1, 80)
    for honest in (fresh, train):
        found = held_out_copies(honest, train, held_out)
        assert found.share <= 0.05
    with pytest.raises(ValueError, match="19 training images of the class; 20 are needed"):
        held_out_copies(fresh, train[:19], held_out)


def test_pixel_features_ignore_brightness_and_contrast():
    images = noise(3, side=50)
    dimmed = (images.float() * 0.5 + 40).byte()
    torch.testing.assert_close(pixel_features(images), pixel_features(dimmed), atol=0.01, rtol=0)
    torch.testing.assert_close(pixel_features(images).norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert pixel_features(torch.full((1, 3, 50, 50), 7).byte()).abs().max() < 1e-3  # no contrast, no direction


# What jobs leave

ENOUGH = ["data.train_per_class=300", "data.counts={angry: 200, happy: 220}", "data.faces_seed=1"]


def facts_of(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text())


def test_dcgan_leaves_an_audit_of_its_images(run):
    folder = run("train=dcgan", *ENOUGH)
    facts = facts_of(folder)
    assert (facts["class"], facts["real"], facts["generated"]) == ("angry", 200, 20)
    assert (facts["image_size"], facts["bottleneck"]) == (32, None)
    assert facts["probe"]["auroc"] > 0.9  # after two steps the GAN's images are noise
    assert facts["probe"]["low"] <= facts["probe"]["auroc"] <= facts["probe"]["high"]
    assert facts["memorisation"]["share"] == 0
    assert facts["memorisation"]["expected"] == 0.05
    assert facts["seconds"] > 0
    assert "problem" not in facts
    table = pd.read_csv(folder / "nearest.csv")
    assert list(table["distance"]) == sorted(table["distance"])
    assert all(Path(file).is_file() for file in table["generated"])
    split = pd.read_csv(folder / "split.csv").set_index("path")
    assert set(split.loc[table["nearest"], "split"]) == {"train"}
    assert set(split.loc[table["nearest"], "label"]) == {"angry"}
    assert Image.open(folder / "nearest.png").size == (8 * 34 + 2, 2 * 34 + 2)


def test_study_audits_every_gan_and_counts_its_seconds(run):
    folder = run("train.arms=[none,dcgan,dcgan+traditional]", "data.counts={angry: 5, fear: 6, happy: 9}")
    assert {path.parent.name for path in folder.rglob("audit.json")} == {"angry", "fear"}
    facts = facts_of(folder / "seed_0" / "gan" / "fear")
    assert (facts["class"], facts["generated"]) == ("fear", 3)
    assert facts["probe"] == {"not_measured": "6 real and 3 generated images; 16 of each are needed"}
    assert facts["memorisation"] == {"not_measured": "1 held-out images of the class; 20 are needed"}
    record = StudyRecord.model_validate_json((folder / "study.json").read_text())
    assert 0 < record.work["audit"] < record.seconds


def test_images_that_an_arm_brings_are_audited_in_its_folder(run, tmp_path):
    gan = run("train=dcgan", folder=tmp_path / "gan")
    brought = f"balance.synthetic={gan}/synthetic"
    cnn = run("train=cnn", "balance=dcgan", brought, folder=tmp_path / "cnn")
    study = run("train.arms=[none,dcgan]", brought, folder=tmp_path / "study")
    assert facts_of(cnn)["synthetic"] == facts_of(study / "seed_0" / "dcgan")["synthetic"] == f"{gan}/synthetic"
    assert not (study / "seed_0" / "none" / "audit.json").exists()


def test_an_audit_that_breaks_loses_no_arm_and_is_recorded(run, monkeypatch, caplog):
    def breaks(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(audit, "find_judge", breaks)
    folder = run("train.arms=[none,dcgan]")
    record = StudyRecord.model_validate_json((folder / "study.json").read_text())
    assert [result.arm for result in record.results] == ["none", "dcgan"]
    assert facts_of(folder / "seed_0" / "gan")["problem"] == "RuntimeError: planted"
    assert "the audit of angry failed: planted" in caplog.text
    assert "Traceback" in caplog.text


def test_the_audit_changes_no_result(run, tmp_path, monkeypatch):
    first = run("train=cnn", "balance=dcgan", folder=tmp_path / "a")
    monkeypatch.setattr(audit, "find_judge", lambda *_: None)
    monkeypatch.setattr(audit, "facts_of_class", lambda *_: {"checks": {}})
    second = run("train=cnn", "balance=dcgan", folder=tmp_path / "b")
    metrics = [json.loads((folder / "result.json").read_text())["metrics"] for folder in (first, second)]
    assert metrics[0] == metrics[1]
