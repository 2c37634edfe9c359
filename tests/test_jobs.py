"""The jobs, run for real on a few batches of tiny drawn faces."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result, Trained
from fer_experiments.report.collect import collect
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.workers import choose_workers
from tests.conftest import write_images
from tests.results import build_result, write_training


def tags(folder: Path) -> dict[str, list[str]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events.Tags()


# train=dcgan


def test_dcgan_leaves_the_files_of_the_design(run):
    folder = run("train=dcgan")
    result = Result.load(folder)
    assert result.job is Trained.GAN
    assert result.real == {"angry": 12}  # the smallest class
    assert result.generated == {"angry": 8}  # 20 happy - 12 angry
    manifest = pd.read_csv(folder / "synthetic" / "manifest.csv")
    assert list(manifest["class"]) == ["angry"] * 8
    assert set(manifest["split_hash"]) == {result.split_hash}
    assert all((folder / "synthetic" / file).is_file() for file in manifest["file"])
    assert Image.open(folder / "synthetic" / manifest["file"][0]).size == (32, 32)
    assert json.loads((folder / "data.json").read_text())["split_hash"] == result.split_hash
    assert (folder / "config.yaml").is_file()
    assert (folder / "split.csv").is_file()
    assert (folder / "samples" / "epoch_0001.png").is_file()
    assert (folder / "samples" / "epoch_0002.png").is_file()
    torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    logged = tags(folder)
    assert {"gan/loss_discriminator", "gan/loss_generator", "gan/score_real"} <= set(logged["scalars"])
    assert "gan/samples" in logged["images"]
    assert "custom_scalars__config__" in logged["tensors"]
    assert (folder / "projector_config.pbtxt").is_file()
    assert {"hparams/loss_generator", "hparams/score_generated"} <= set(logged["scalars"])


def test_dcgan_trains_on_the_class_that_is_named(run):
    result = Result.load(run("train=dcgan", "gan.target_class=happy"))
    assert result.real == {"happy": 20}


def test_dcgan_refuses_an_unknown_class(run):
    with pytest.raises(ConfigError, match=r"gan\.target_class=bored: is not one of angry, happy"):
        run("train=dcgan", "gan.target_class=bored")


def test_dcgan_sees_training_images_of_its_class_only(run, monkeypatch):
    batches = []
    from fer_experiments.gan import module

    step = module.adversarial_step
    monkeypatch.setattr(
        module,
        "adversarial_step",
        lambda g, d, o, real, *rest, **options: batches.append(real.clone()) or step(g, d, o, real, *rest, **options),
    )
    folder = run("train=dcgan", "data.image_size=32")
    split = pd.read_csv(folder / "split.csv")
    cache = Path(json.loads((folder / "data.json").read_text())["cache"])
    index = pd.read_csv(cache / "index.csv")
    pixels = np.load(cache / "images.npy")
    paths = split[(split["split"] == "train") & (split["label"] == "angry")]["path"]
    allowed = {pixels[index.index[index["path"] == path][0]].tobytes() for path in paths}
    batch = torch.cat(batches)
    images = ((batch + 1) / 2 * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert {image.tobytes() for image in images} <= allowed


# train=cnn


@pytest.mark.parametrize("balance", ["none", "oversample", "class_weight", "dcgan"])
def test_cnn_leaves_the_files_of_the_design(run, balance):
    folder = run("train=cnn", f"balance={balance}", "augment=traditional")
    result = Result.load(folder)
    assert result.arm == f"{balance}+traditional"
    assert result.real == {"angry": 12, "happy": 20}
    assert result.generated == ({"angry": 8} if balance == "dcgan" else {})
    assert result.repeated == ({"angry": 8} if balance == "oversample" else {})
    assert result.optimizer_steps == 2 * 1  # two epochs of one batch, however many images
    assert set(result.metrics) == {"valid", "test"}
    for name in ("config.yaml", "split.csv", "data.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert (folder / name).is_file(), name
    torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    training = pd.read_csv(folder / "training.csv")
    assert training["origin"].value_counts().to_dict() == {"real": 32} | (
        {"generated": 8} if balance == "dcgan" else {}
    )
    assert training["times"].sum() == 32 + (8 if balance in ("oversample", "dcgan") else 0)
    logged = tags(folder)
    assert {"train/loss", "train/accuracy", "valid/loss", "valid/accuracy"} <= set(logged["scalars"])
    assert "test/confusion_matrix" in logged["images"]
    assert {"hparams/test_accuracy", "hparams/test_balanced_accuracy", "hparams/test_loss"} <= set(logged["scalars"])
    assert [tag for tag in logged["tensors"] if tag.startswith("test/")] == ["test/angry", "test/happy"]


def test_predictions_give_the_reported_metrics_again(run):
    folder = run("train=cnn")
    saved = np.load(folder / "predictions.npz")
    result = Result.load(folder)
    for part in ("valid", "test"):
        logits, labels = (torch.from_numpy(saved[f"{part}_{name}"]) for name in ("logits", "labels"))
        again = classification_metrics(logits, labels, list(saved["classes"]))
        assert again.pop("confusion") == result.metrics[part]["confusion"]
        assert again.pop("recall") == pytest.approx(result.metrics[part]["recall"])
        for name, value in again.items():
            assert value == pytest.approx(result.metrics[part][name]), name
        split = pd.read_csv(folder / "split.csv")
        assert list(saved[f"{part}_content_hash"]) == list(split.loc[split["split"] == part, "content_hash"])


def test_same_seed_same_result_and_another_seed_another(run, tmp_path):
    first, second, third = (
        Result.load(run("train=cnn", f"seed={seed}", "augment=traditional", folder=tmp_path / name))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first.metrics == second.metrics
    assert first.history == second.history
    assert first.split_hash == second.split_hash != third.split_hash
    assert first.history != third.history


@pytest.mark.usefixtures("blank_figures")
def test_generated_images_of_another_run_can_be_injected(run, tmp_path):
    gan = run("train=dcgan", folder=tmp_path / "gan")
    result = Result.load(run("train=cnn", "balance=dcgan", f"balance.synthetic={gan}/synthetic"))
    assert result.generated == {"angry": 8}
    assert not (tmp_path / "run" / "gan").exists()
    images = f"balance.synthetic={gan}/synthetic"
    study = run("train.arms=[none,dcgan]", images, folder=tmp_path / "study")
    assert json.loads((study / "data.json").read_text())["generated"] == {"angry": 8}
    assert not (study / "seed_0" / "gan").exists()


def test_generated_images_of_another_split_are_refused(run, tmp_path):
    gan = run("train=dcgan", folder=tmp_path / "gan")
    with pytest.raises(ConfigError, match=r"balance\.synthetic=.*made from the split .*but this run's split is"):
        run("train=cnn", "seed=1", "balance=dcgan", f"balance.synthetic={gan}/synthetic")


def test_seven_classes_get_a_gan_each_where_they_need_one(run):
    folder = run("train=cnn", "balance=dcgan", "data.counts={angry: 5, fear: 6, happy: 9}")
    assert Result.load(folder).generated == {"angry": 4, "fear": 3}
    assert {path.parent.name for path in folder.glob("gan/*/result.json")} == {"angry", "fear"}


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_folders_work_with_one_channel_and_three(run, tmp_path, channels):
    for name, count in (("cat", 9), ("dog", 14), ("owl", 12)):
        write_images(tmp_path / "pets" / name, count, size=(30, 20), mode="L", seed=count)
    source = ["data=folder", f"data.root={tmp_path}/pets", f"data.channels={channels}", "data.grayscale=true"]
    folder = run("train=cnn", "balance=dcgan", *source)
    assert sum(Result.load(folder).generated.values()) > 0
    file = next(folder.glob("gan/cat/synthetic/cat/*.png"))
    assert Image.open(file).mode == "L"


# gan.pretrained


@pytest.fixture
def checkpoint(run_once) -> Path:
    """The checkpoint of a GAN of angry faces; its images lie in checkpoint.parents[1] / "synthetic"."""
    return run_once("train=dcgan") / "checkpoints" / "last.ckpt"


def manifest_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "synthetic" / "manifest.csv")


def test_a_checkpoint_gives_its_own_images_again_without_training(run, checkpoint):
    folder = run("train=dcgan", f"gan.pretrained={checkpoint}")
    trained = checkpoint.parents[1]
    pd.testing.assert_frame_equal(manifest_of(folder), manifest_of(trained))
    for file in manifest_of(folder)["file"]:
        assert (folder / "synthetic" / file).read_bytes() == (trained / "synthetic" / file).read_bytes()
    assert not any((folder / name).exists() for name in ("result.json", "checkpoints", "samples"))


@pytest.mark.usefixtures("blank_figures")
def test_a_study_takes_a_checkpoint_for_all_its_arms(run, checkpoint, caplog):
    with caplog.at_level(logging.INFO):
        folder = run("train.arms=[none,dcgan,dcgan+traditional]", f"gan.pretrained={checkpoint}")
    record = StudyRecord.load(folder)
    assert [result.generated for result in record.results] == [{}, {"angry": 8}, {"angry": 8}]
    assert len(manifest_of(folder / "seed_0" / "gan")) == 8
    assert not (folder / "seed_0" / "gan" / "checkpoints").exists()
    assert f"{checkpoint} (not trained here): 8 images written to" in caplog.text
    assert "<html" in (folder / "report.html").read_text()


@pytest.mark.usefixtures("blank_figures")
def test_a_study_of_two_seeds_refuses_the_checkpoint_of_the_first_for_the_second(run, checkpoint, tmp_path):
    keys = ["train.arms=[none,dcgan]", "train.seeds=2", f"gan.pretrained={checkpoint}"]
    with pytest.raises(
        ConfigError, match=r"gan\.pretrained=.*last\.ckpt: its GAN has seen the training images of one split"
    ):
        run(*keys)
    record = StudyRecord.load(run(*keys, "data.split_seed=0"))
    assert [(result.seed, result.arm) for result in record.results if result.generated] == [(0, "dcgan"), (1, "dcgan")]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["seed=1"],
            r"was trained on the split \w+, but this run's split is \w+; the GAN may have seen validation or test",
        ),
        (["gan.target_class=happy"], r"makes images of angry, but happy is needed; .*gan\.pretrained=null"),
        (
            ["data.grayscale=true"],
            r"makes images of 3 channel\(s\), but these data are read with 1; set data\.grayscale",
        ),
    ],
)
def test_a_checkpoint_that_does_not_suit_the_run_is_refused(run, checkpoint, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=r"gan\.pretrained=.*last\.ckpt: " + message):
        run("train=dcgan", f"gan.pretrained={checkpoint}", *overrides)
    assert not (tmp_path / "run" / "synthetic").exists()


def test_one_checkpoint_does_not_serve_two_classes(run, tmp_path):
    counts = "data.counts={angry: 5, fear: 6, happy: 9}"
    gan = run("train=dcgan", counts, folder=tmp_path / "gan")
    with pytest.raises(ConfigError, match="makes images of angry, but fear is needed; a checkpoint serves one class"):
        run("train=cnn", "balance=dcgan", counts, f"gan.pretrained={gan}/checkpoints/last.ckpt")


def test_a_checkpoint_that_is_not_there_stops_before_any_work(run, tmp_path):
    with pytest.raises(ConfigError, match=r"gan\.pretrained=.*none\.ckpt.*: does not exist; give the folder of a run"):
        run(f"gan.pretrained={tmp_path}/none.ckpt")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_file_that_is_no_checkpoint_is_named_with_its_key(run, tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ConfigError, match=r"gan\.pretrained=.*text\.ckpt: is not a checkpoint of train=dcgan"):
        run("train=dcgan", f"gan.pretrained={tmp_path}/text.ckpt")


# train=study


ARMS = ["none", "none+traditional", "oversample", "class_weight", "dcgan", "dcgan+traditional"]


@pytest.fixture
def study(run):
    return run("train.arms=[" + ",".join(ARMS) + "]", "train.seeds=2")


def test_study_compares_all_arms_fairly(study):
    record = StudyRecord.load(study)
    assert record.arms == ARMS
    assert [(r.arm, r.seed) for r in record.results] == [(arm, seed) for seed in (0, 1) for arm in ARMS]
    assert len({result.optimizer_steps for result in record.results}) == 1
    for seed in (0, 1):
        assert len({result.split_hash for result in record.results if result.seed == seed}) == 1
    assert {r.arm: sum(r.generated.values()) for r in record.results if r.generated} == {
        "dcgan": 8,
        "dcgan+traditional": 8,
    }
    # One GAN a seed, and the test part is the same for every seed.
    assert len(list(study.glob("seed_*/gan/checkpoints/last.ckpt"))) == 2
    tests = [pd.read_csv(study / f"seed_{seed}" / "split.csv").query("split == 'test'") for seed in (0, 1)]
    assert list(tests[0]["content_hash"]) == list(tests[1]["content_hash"])
    # The files of the design.
    table = pd.read_csv(study / "comparison.csv")
    assert len(table) == 12
    assert {"accuracy", "balanced_accuracy", "loss", "recall_angry", "recall_happy", "generated"} <= set(table.columns)
    markdown = (study / "comparison.md").read_text()
    assert [line for line in markdown.splitlines() if line.startswith(f"| {ARMS[0]} ")]
    assert all(f"- {verdict.arm}: " in markdown for verdict in compute_findings(record, study).arms)
    saved = json.loads((study / "verdict.json").read_text())
    assert saved["question"] == record.question.model_dump()
    assert [verdict["arm"] for verdict in saved["arms"]] == ARMS[1:]
    assert "<html" in (study / "report.html").read_text()
    for name in ("config.yaml", "data.json"):
        assert (study / name).is_file()
    # TensorBoard tells the runs apart by their folders.
    runs = {path.parent.relative_to(study).as_posix() for path in study.rglob("events.out.tfevents.*")}
    assert runs == {f"seed_{seed}/{name}" for seed in (0, 1) for name in [*ARMS, "gan"]}
    # What it cost beyond its parts.
    trainings = record.results + [Result.load(folder) for folder in study.glob("seed_*/gan")]
    # Images are drawn, and GANs looked for, beside the trainings.
    assert 0 < sum(r.seconds for r in trainings) < 1.1 * (record.work["classifiers"] + record.work["gan"])
    assert record.overhead == pytest.approx(record.seconds / sum(record.work.values()) - 1)
    assert {r.precision for r in trainings} == {"fp32"}


@pytest.mark.usefixtures("blank_figures")
def test_the_baseline_like_every_arm_has_the_runs_augment(run):
    study = run("train.arms=[none,oversample,dcgan]", "augment=traditional", "gan.epochs=1")
    record = StudyRecord.load(study)
    assert record.question.baseline == record.arms[0] == "none+traditional"
    simple, generated = compute_findings(record, study).arms
    assert (simple.arm, simple.against) == ("oversample+traditional", "none+traditional")
    assert {pair.against for pair in generated.pairs} >= {"none+traditional"}


ADDED_ORIGINS = {
    "dcgan": ["generated"],
    "diffusion": ["generated"],
    "external": ["generated"],
    "smote": ["interpolated"],
    "copies": ["copied"],
    "real_images": ["added_real"],
}


@pytest.mark.usefixtures("blank_figures")
def test_every_strategy_is_an_arm_on_the_same_images_and_steps(run, tmp_path):
    strategies = sorted(path.stem for path in (CONF_DIR / "balance").glob("*.yaml"))
    names = {name: name for name in strategies} | {"diffusion": "diffusion [gan.module.sampling_steps=1]"}
    for label in ("angry", "fear"):
        write_images(tmp_path / "external" / label, 9)
    external = ["balance=external", f"balance.synthetic={tmp_path}/external"]
    counts = "data.counts={angry: 3, fear: 9, happy: 12}"
    folder = run(f"train.arms=[{','.join(map(json.dumps, names.values()))}]", *external, counts)
    record = StudyRecord.load(folder)
    assert not record.failed
    results = {result.arm.partition(" ")[0]: result for result in record.results}
    assert sorted(results) == strategies
    assert len({result.optimizer_steps for result in results.values()}) == 1
    assert len({result.split_hash for result in results.values()}) == 1
    predictions = {arm: Predictions.load(record.folder_of(results[arm], folder), "test") for arm in strategies}
    for arm, test in predictions.items():
        assert np.isfinite(test.logits).all(), arm
        assert np.array_equal(test.content_hash, predictions["none"].content_hash), arm
        table = pd.read_csv(record.folder_of(results[arm], folder) / "training.csv")
        assert set(table["origin"]) == {"real", *ADDED_ORIGINS.get(arm, [])}, arm
    assert results["undersample"].real == {"angry": 3, "fear": 3, "happy": 3}
    assert results["smote"].interpolated == {"angry": 9, "fear": 3}
    assert results["smote"].generated == {}
    assert {verdict.arm for verdict in compute_findings(record, folder).arms if verdict.generated} == {
        "dcgan",
        names["diffusion"],
        "external",
        "joint",
    }
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "seed_0" / "none" / "training.csv"),
        pd.read_csv(folder / "seed_0" / "focal" / "training.csv"),
    )


@pytest.mark.usefixtures("blank_figures")
def test_every_way_of_injection_is_an_arm_of_as_many_steps(run):
    ways = [
        "inject=missing, balance.generated_fraction=0.25",
        "inject=symmetric, balance.weight=0.5",
        "inject=pretrain",
    ]
    names = ["oversample", *(f"dcgan [balance.{settings}]" for settings in ways)]
    arms = ",".join(f'"{name}"' for name in names)
    study = run(f"train.arms=[{arms}]", "train.baseline=oversample", "gan.epochs=1")
    record = StudyRecord.load(study)
    assert not record.failed
    assert [result.arm for result in record.results] == names
    assert len({result.optimizer_steps for result in record.results}) == 1
    everywhere = {"angry": 20, "happy": 20}
    assert [result.generated for result in record.results] == [{}, {"angry": 8}, everywhere, everywhere]
    assert [result.repeated for result in record.results] == [{"angry": 8}, {}, {"angry": 8}, {"angry": 8}]
    assert sorted(path.name for path in (study / "seed_0" / "gan").iterdir()) == ["angry", "happy"]


@pytest.mark.usefixtures("blank_figures")
def test_doses_share_one_gan_and_lie_in_folders_of_safe_names(run):
    names = ["none", "dcgan [balance.add=0]", "dcgan [balance.add=3]", "dcgan [balance.add={happy: 2, angry: 5}]"]
    study = run("train.arms=[" + ",".join(f'"{name}"' for name in names) + "]", "classifier.epochs=1", "gan.epochs=1")
    record = StudyRecord.load(study)
    assert [result.arm for result in record.results] == names
    assert [result.generated for result in record.results] == [{}, {}, {"angry": 3}, {"happy": 2, "angry": 5}]
    assert len(list((study / "seed_0" / "gan").glob("*/synthetic/angry/*.png"))) == 5
    folders = {record.folder_of(result, study).name for result in record.results}
    assert folders == {"none", "dcgan_balance.add=0", "dcgan_balance.add=3", "dcgan_balance.add=_happy_2,_angry_5"}
    assert {path.parent.name for path in study.glob("seed_0/*/result.json")} == folders
    assert record.results[0].metrics == record.results[1].metrics  # no images, no difference
    again = collect([study])
    assert (again.arms, again.problems, again.unfinished_trainings()) == (names, [], [])
    assert compute_findings(record, study).problems == []
    assert (study / "curves.csv").is_file()


@pytest.mark.usefixtures("blank_figures")
def test_seeds_side_by_side_give_the_same_study(run, tmp_path):
    arms = "train.arms=[none,dcgan+traditional]"
    alone, parallel = (run(arms, "train.seeds=[3,5,4]", f"train.workers={n}", folder=tmp_path / str(n)) for n in (1, 2))
    records = [StudyRecord.load(folder) for folder in (alone, parallel)]
    for a, b in zip(*(record.results for record in records), strict=True):
        assert (a.arm, a.seed, a.split_hash) == (b.arm, b.seed, b.split_hash)
        assert a.metrics["test"]["loss"] == pytest.approx(b.metrics["test"]["loss"], rel=1e-3)
    assert (parallel / "split.csv").read_text() == (parallel / "seed_3" / "split.csv").read_text()
    assert (parallel / "data.json").is_file()


@pytest.mark.usefixtures("blank_figures")
def test_the_arms_of_one_seed_share_two_processes_in_the_order_of_the_study(run):
    names = ["oversample", "none", "undersample"]
    record = StudyRecord.load(run(f"train.arms=[{','.join(names)}]", "train.seeds=1", "train.workers=2"))
    assert [result.arm for result in record.results] == names
    assert set(record.work) == {"data", "gan", "audit", "classifiers"}


@pytest.mark.parametrize(
    ("accelerator", "threads", "seeds", "gibibytes", "free_on_gpu", "workers"),
    [
        ("cpu", 8, 5, 64, None, 5),
        ("cpu", 4, 5, 64, None, 4),
        ("cpu", 8, 5, 7, None, 2),
        ("cpu", 8, 5, 1, None, 1),
        ("gpu", 16, 20, 128, 139, 10),
        ("gpu", 16, 20, 128, 7, 2),
        ("gpu", 16, 20, 128, 1, 1),
        ("gpu", 4, 20, 128, 139, 4),
    ],
)
def test_seeds_run_side_by_side_where_cores_and_memory_allow(
    read, monkeypatch, accelerator, threads, seeds, gibibytes, free_on_gpu, workers
):
    sizes = {"SC_PHYS_PAGES": gibibytes * 2**18, "SC_PAGE_SIZE": 2**12}
    monkeypatch.setattr("os.sysconf", sizes.get)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    trainer = read("accelerator=auto").trainer
    monkeypatch.setattr("torch.cuda.is_available", lambda: accelerator == "gpu")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free_on_gpu * 2**30, 160 * 2**30))
    assert choose_workers(trainer, seeds) == workers


def test_workers_are_chosen_by_default(read):
    assert read().train.workers == "auto"


@pytest.mark.usefixtures("blank_figures")
def test_a_failure_beside_another_seed_is_recorded(run, tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)2 of 4 trainings failed:\n  seed 0, dcgan: NonFiniteError"):
        run("train.arms=[dcgan,none]", "train.seeds=2", "train.workers=2", "gan.learning_rate=1e30")
    record = StudyRecord.load(tmp_path / "run")
    assert [(result.arm, result.seed) for result in record.results] == [("none", 0), ("none", 1)]


@pytest.mark.usefixtures("blank_figures")
def test_an_arm_that_breaks_loses_no_other(run, tmp_path, monkeypatch):
    from fer_experiments.train import seed_parts as module

    train = module.train_classifier

    def breaks(settings, data, arm, *rest):
        if arm.name == "none":
            raise RuntimeError("planted")
        return train(settings, data, arm, *rest)

    monkeypatch.setattr(module, "train_classifier", breaks)
    with pytest.raises(RuntimeError, match=r"(?s)1 of 2 trainings failed:\n  seed 0, none: RuntimeError: planted"):
        run("train.arms=[none,oversample]")
    record = StudyRecord.load(tmp_path / "run")
    assert [result.arm for result in record.results] == ["oversample"]
    assert record.failed == {"seed 0, none": "RuntimeError: planted"}


def test_a_study_cut_short_in_its_first_seed_is_reported_as_asked(run, tmp_path, monkeypatch):
    def cut_short(seeds, arms, folder, workers):
        write_training(build_result("oversample", 3, 0.7), folder / "seed_3" / "oversample", 0.7)
        raise KeyboardInterrupt

    monkeypatch.setattr("fer_experiments.train.seed_parts.run_seeds", cut_short)
    with pytest.raises(KeyboardInterrupt):
        run("train.seeds=[3,1]", "train.arms=[none,oversample]", "train.metric=macro_f1", "train.margin=0.02")
    record = collect([tmp_path / "run"])
    assert (record.question.metric, record.question.margin) == ("macro_f1", 0.02)
    assert (record.arms, sorted(record.seeds)) == (["none", "oversample"], [1, 3])
    assert [(result.arm, result.seed) for result in record.results] == [("oversample", 3)]


@pytest.mark.usefixtures("blank_figures")
def test_a_gan_of_a_class_that_breaks_fails_only_the_arms_that_need_this_class(run, tmp_path, monkeypatch):
    from fer_experiments.train import seed_parts as module

    generate = module.generate_images

    def breaks(settings, data, arms, needed, folder):
        if "happy" in needed:
            raise RuntimeError("planted")
        return generate(settings, data, arms, needed, folder)

    monkeypatch.setattr(module, "generate_images", breaks)
    symmetric = "dcgan [balance.inject=symmetric]"
    with pytest.raises(
        RuntimeError, match=r"(?s)1 of 3 trainings failed:\n  seed 0, dcgan \[.*: RuntimeError: planted"
    ):
        run(f'train.arms=[none,dcgan,"{symmetric}"]', "gan.epochs=1")
    record = StudyRecord.load(tmp_path / "run")
    assert [result.arm for result in record.results] == ["none", "dcgan"]
    assert list(record.failed) == [f"seed 0, {symmetric}"]
    assert (tmp_path / "run" / "seed_0" / "gan" / "angry" / "audit.json").is_file()


@pytest.mark.usefixtures("blank_figures")
def test_a_gan_that_breaks_fails_only_the_arms_that_need_it(run, tmp_path, caplog):
    with pytest.raises(RuntimeError, match=r"(?s)1 of 2 trainings failed:\n  seed 0, dcgan: NonFiniteError"):
        run("train.arms=[dcgan,none]", "gan.learning_rate=1e30")
    record = StudyRecord.load(tmp_path / "run")
    assert [result.arm for result in record.results] == ["none"]
    assert "no generated images for dcgan, which will fail: " in caplog.text  # before the other arms are trained


@pytest.mark.usefixtures("blank_figures")
def test_a_changed_balance_key_reaches_the_arms_that_have_it(run):
    folder = run("train.arms=[none,oversample,dcgan]", "balance.sampling_strategy=0.8")
    table = pd.read_csv(folder / "comparison.csv").set_index("arm")
    assert table.loc["oversample", "repeated"] == 4  # 0.8 * 20 - 12
    assert table.loc["dcgan", "generated"] == 4
    assert table.loc["none", "repeated"] == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.arms=[none,nonsense]"], r"train\.arms: nonsense: conf/balance/ has no nonsense"),
        (["train.arms=[none+nonsense]"], r"train\.arms: none\+nonsense: conf/augment/ has no nonsense"),
        (
            ["train.arms=[none]", "balance.sampling_strategy=0.9"],
            r"balance\.sampling_strategy is set, but no arm of train\.arms=\['none'\] has sampling_strategy",
        ),
    ],
)
def test_wrong_arms_stop_before_any_work(run, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        run(*overrides)
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.usefixtures("blank_figures")
def test_a_named_class_that_balance_does_not_need_is_refused(run):
    with pytest.raises(ConfigError, match=r"gan\.target_class=happy: balance needs generated images of angry"):
        run("train.arms=[dcgan]", "gan.target_class=happy")


@pytest.mark.usefixtures("blank_figures")
def test_folder_study_with_parts_of_its_own(run, tmp_path):
    for part, count in (("train", 10), ("val", 4), ("test", 5)):
        for seed, name in enumerate(("cat", "dog")):
            write_images(tmp_path / "pets" / part / name, count + 3 * seed, seed=count * 10 + seed)
    folder = run("data=folder", f"data.root={tmp_path}/pets", "train.arms=[none,dcgan]")
    images = json.loads((folder / "data.json").read_text())["images"]
    assert images == {"train": {"cat": 10, "dog": 13}, "valid": {"cat": 4, "dog": 7}, "test": {"cat": 5, "dog": 8}}


def test_removing_a_run_leaves_the_cache(run, tmp_path):
    folder = run("train=cnn")
    cache = Path(json.loads((folder / "data.json").read_text())["cache"])
    shutil.rmtree(folder)
    assert (cache / "images.npy").is_file()


def test_odd_class_names_reach_every_file_unharmed(run, tmp_path, caplog):
    caplog.set_level("INFO")
    names = ["[red]x", "<script>alert(1)<!--", "a|b", "NA"]
    for seed, name in enumerate(names):
        write_images(tmp_path / "odd" / name, 8, seed=seed)
    folder = run("data=folder", f"data.root={tmp_path}/odd", "train.arms=[none]")
    assert json.loads((folder / "data.json").read_text())["classes"] == sorted(names)
    assert sorted(pd.read_csv(folder / "seed_0" / "split.csv", keep_default_na=False)["label"].unique()) == sorted(
        names
    )
    assert "<script>alert" not in (folder / "report.html").read_text()
    assert r"recall a\|b" in (folder / "comparison.md").read_text()
    assert "[red]x" in caplog.text
