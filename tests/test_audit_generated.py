"""Jobs leave an audit of their generated images, which changes no result and costs no arm."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from fer_experiments.audit import audit_generated
from fer_experiments.audit.class_audit import ClassAudit
from fer_experiments.audit.measures import NotMeasured
from fer_experiments.audit.shortcut_probe import ShortcutProbe
from fer_experiments.encoder import Reference
from fer_experiments.evaluation.generated.memorisation import Memorisation
from fer_experiments.report.study_record import StudyRecord
from tests.measures import class_measures

ENOUGH = ["data.train_per_class=300", "data.counts={angry: 200, happy: 220}", "data.faces_seed=1"]


def test_dcgan_leaves_an_audit_of_its_images(run):
    folder = run("train=dcgan", *ENOUGH)
    audit = ClassAudit.load(folder)
    measures = audit.measures
    assert measures is not None
    assert (audit.label, measures.real, audit.generated) == ("angry", 200, 20)
    assert (measures.image_size, measures.bottleneck) == (32, None)
    assert isinstance(measures.probe, ShortcutProbe)
    assert measures.probe.auroc > 0.9  # after two steps the GAN's images are noise
    assert measures.probe.low <= measures.probe.auroc <= measures.probe.high
    assert isinstance(measures.memorisation, Memorisation)
    assert measures.memorisation.share == 0
    assert measures.memorisation.expected == 0.05
    unused = 300 - 200 - 20
    assert (measures.held_out, measures.held_out_source) == (unused, "unused")
    assert measures.distance.first == measures.likeness.real == measures.labels.held_out_images == unused
    assert measures.likelihood_divergence.held_out == unused
    assert measures.held_out_copies.images == unused + 20 + 12  # validation and test images as well
    assert audit.seconds > 0
    assert audit.problem == ""
    table = pd.read_csv(folder / "nearest.csv")
    assert list(table["distance"]) == sorted(table["distance"])
    assert all(Path(file).is_file() for file in table["generated"])
    split = pd.read_csv(folder / "split.csv").set_index("path")
    assert set(split.loc[table["nearest"], "split"]) == {"train"}
    assert set(split.loc[table["nearest"], "label"]) == {"angry"}
    assert Image.open(folder / "nearest.png").size == (8 * 34 + 2, 2 * 34 + 2)


@pytest.mark.usefixtures("blank_figures")
def test_study_audits_every_gan_and_counts_its_seconds(run):
    counts = "data.counts={angry: 5, fear: 6, happy: 9}"
    folder = run("train.arms=[none,dcgan,dcgan+traditional]", counts, "data.train_per_class=11")
    assert {path.parent.name for path in folder.rglob("audit.json")} == {"angry", "fear"}
    audit = ClassAudit.load(folder / "seed_0" / "gan" / "fear")
    assert (audit.label, audit.generated) == ("fear", 3)
    assert audit.measures.probe == NotMeasured("6 real and 3 generated images; 16 of each are needed")
    assert audit.measures.memorisation == NotMeasured("4 held-out images of the class; 20 are needed")
    record = StudyRecord.load(folder)
    assert 0 < record.work["audit"] < record.seconds


@pytest.mark.usefixtures("blank_figures")
def test_existing_images_that_an_arm_uses_are_audited_in_its_folder(run, tmp_path):
    gan = run("train=dcgan", folder=tmp_path / "gan")
    existing = f"balance.synthetic={gan}/synthetic"
    cnn = run("train=cnn", "balance=dcgan", existing, folder=tmp_path / "cnn")
    study = run("train.arms=[none,dcgan]", existing, folder=tmp_path / "study")
    audits = [ClassAudit.load(folder) for folder in (cnn, study / "seed_0" / "dcgan")]
    assert [audit.synthetic for audit in audits] == [f"{gan}/synthetic"] * 2
    assert not (study / "seed_0" / "none" / "audit.json").exists()


@pytest.mark.usefixtures("blank_figures")
def test_an_audit_that_fails_loses_no_arm_and_is_recorded(run, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(audit_generated, "get_or_train_reference_classifier", fail)
    folder = run("train.arms=[none,dcgan]")
    record = StudyRecord.load(folder)
    assert [result.arm for result in record.results] == ["none", "dcgan"]
    assert ClassAudit.load(folder / "seed_0" / "gan").problem == "RuntimeError: planted"
    assert "the audit of angry failed: planted" in caplog.text
    assert "Traceback" in caplog.text


def test_the_audit_changes_no_result(run, tmp_path, monkeypatch):
    first = run("train=cnn", "balance=dcgan", folder=tmp_path / "a")
    monkeypatch.setattr(audit_generated, "get_or_train_reference_classifier", lambda *_: None)
    monkeypatch.setattr(audit_generated, "complete_audit", lambda audit, *_: audit)
    second = run("train=cnn", "balance=dcgan", folder=tmp_path / "b")
    metrics = [json.loads((folder / "result.json").read_text())["metrics"] for folder in (first, second)]
    assert metrics[0] == metrics[1]


def test_images_that_are_audited_already_are_not_audited_again(tmp_path, caplog):
    synthetic, folder = tmp_path / "synthetic", tmp_path / "audit"
    settings = SimpleNamespace(encoder=Reference())
    encoder = settings.encoder.describe()
    ClassAudit(label="angry", generated=3, synthetic=str(synthetic), encoder=encoder, measures=class_measures()).save(
        folder
    )
    before = (folder / "audit.json").read_bytes()
    caplog.set_level("INFO")
    audit_generated.audit_generated(settings, None, "angry", 3, synthetic, folder)
    assert "the generated images of angry are audited already" in caplog.text
    assert (folder / "audit.json").read_bytes() == before
    audit_generated.audit_generated(settings, None, "angry", 4, synthetic, folder)  # which fails without data
    assert ClassAudit.load(folder).problem.startswith("AttributeError")
