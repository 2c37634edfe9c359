"""Callbacks that conf/callbacks names, and the metrics that they can monitor."""

from types import SimpleNamespace
from typing import ClassVar

import lightning
import pandas as pd
import pytest
import torch

from fer_experiments.errors import ConfigError, NonFiniteError
from fer_experiments.evaluation.result import Result
from fer_experiments.runs.sweep_progress import SweepPlan
from fer_experiments.train.gan.sharing import gan_fingerprint
from fer_experiments.train.pruning import Pruning
from fer_experiments.trainer.callbacks.build import build_callbacks
from tests.conftest import forget_gans
from tests.results import build_result

TARGET = f"+callbacks.note._target_={__name__}"
BRIEF = ["reference_classifier.epochs=1", "data.valid_fraction=0.4"]


class NoteMetrics(lightning.Callback):
    """Note after each epoch which metrics callbacks can monitor."""

    noted: ClassVar[list[tuple[str, dict[str, float]]]] = []

    def on_train_epoch_end(self, trainer, pl_module):
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.noted.append((type(pl_module).__name__, metrics))


class StopAtOnce(lightning.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


@pytest.fixture
def noted(monkeypatch):
    notes = []
    monkeypatch.setattr(NoteMetrics, "noted", notes)
    return notes


def test_a_callback_of_ones_own_runs_in_every_training_and_sees_its_metrics(run, noted):
    folder = run("train=cnn", "balance=dcgan", "gan.epochs=2", "gan.kid_every=1", *BRIEF, f"{TARGET}.NoteMetrics")
    assert [name for name, _ in noted] == ["DCGAN"] * 2 + ["Classifier"] * 2
    gan, classifier = (Result.load(place).history for place in (folder / "gan", folder))
    for (_, metrics), row in zip(noted, [*gan, *classifier], strict=True):
        names = [name for name in row if name not in ("step", "epoch")]
        assert {name: metrics[name] for name in names} == pytest.approx({name: row[name] for name in names})
    assert {"gan/kid", "gan/loss_generator"} <= set(noted[0][1])
    assert {"valid/balanced_accuracy", "train/loss"} <= set(noted[2][1])


def test_a_joint_training_has_the_metrics_of_both(run, noted):
    run("train=joint", "reference_classifier.epochs=1", f"{TARGET}.NoteMetrics")
    assert {"valid/balanced_accuracy", "gan/loss_generator"} <= set(noted[-1][1])


@pytest.mark.parametrize(("metrics", "names"), [(("gan/",), ["kid", "any"]), (("train/", "valid/"), ["valid", "any"])])
def test_a_callback_runs_where_its_metric_is_measured(metrics, names):
    stopping = {"_target_": "lightning.pytorch.callbacks.EarlyStopping"}
    nodes = {
        "kid": stopping | {"monitor": "gan/kid"},
        "valid": stopping | {"monitor": "valid/loss"},
        "any": {"_target_": "lightning.Callback"},
    }
    built = [getattr(callback, "monitor", None) for callback in build_callbacks(nodes, metrics)]
    assert built == [nodes[name].get("monitor") for name in names]


def test_early_stopping_ends_a_classifier_and_its_last_epoch_is_kept(run):
    folder = run(
        "train=cnn", "callbacks=early_stopping", "callbacks.early_stopping.monitor=valid/loss",
        "callbacks.early_stopping.min_delta=9", "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.mode=min", "trainer.max_epochs=8", "classifier.checkpoint=last",
    )  # fmt: skip
    result = Result.load(folder)
    assert len(result.history) == 2
    assert result.selected_epoch == 2
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1


def test_early_stopping_ends_a_gan(run):
    folder = run(
        "train=dcgan", "gan.kid_every=1", *BRIEF, "callbacks=early_stopping", "trainer.max_epochs=6",
        "callbacks.early_stopping.monitor=gan/kid", "callbacks.early_stopping.mode=min",
        "callbacks.early_stopping.min_delta=99", "callbacks.early_stopping.patience=1",
    )  # fmt: skip
    assert Result.load(folder).selected_epoch == 2


@pytest.mark.parametrize("target", ["lightning.pytorch.callbacks.EarlyStopping", "lightning.pytorch.callbacks.Timer"])
def test_a_study_refuses_what_would_make_its_arms_unequal(run, target):
    monitor = ["+callbacks.stop.monitor=valid/loss"] if target.endswith("EarlyStopping") else []
    with pytest.raises(ConfigError, match=r"callbacks: \w+ would give the arms of a study different numbers of optim"):
        run("train=study", "train.arms=[none,oversample]", f"+callbacks.stop._target_={target}", *monitor)


def test_the_gan_of_a_joint_arm_may_not_end_its_training(read):
    keys = ["callbacks=early_stopping", "callbacks.early_stopping.monitor=gan/loss_generator"]
    config = read("train=study", "train.arms=[none,joint]", *keys)
    with pytest.raises(ConfigError, match="callbacks: EarlyStopping would give the arms"):
        config.train.check_with_torch(config)


def test_a_gan_that_stops_early_may_serve_a_study(read):
    config = read(
        "train=study", "train.arms=[none,dcgan]", "callbacks=early_stopping", "callbacks.early_stopping.monitor=gan/kid"
    )
    config.train.check_with_torch(config)


def test_callbacks_belong_to_the_fingerprint_of_what_they_may_change(run, tmp_path):
    plain, stopped = (
        Result.load(run("train=dcgan", "trainer.max_epochs=3", *overrides, folder=tmp_path / name))
        for name, overrides in (("plain", []), ("stopped", [f"{TARGET}.StopAtOnce"]))
    )
    assert plain.fingerprint != stopped.fingerprint
    assert plain.optimizer_steps == 3 * stopped.optimizer_steps


def test_callbacks_of_conf_run_together(run):
    keys = ["classifier.schedule=null", "trainer.log_every_n_steps=1"]
    folder = run("train=cnn", "callbacks=[learning_rate,model_summary]", "logger=csv", *keys)
    rates = pd.read_csv(folder / "csv" / "version_0" / "metrics.csv")["lr-Adam/pg1"].dropna()
    assert set(rates) == {1e-3}
    assert len(rates) >= Result.load(folder).optimizer_steps


def test_a_progress_bar_of_ones_own_replaces_ours(run, capfd):
    forget_gans()
    run("train=cnn", "trainer.progress=true", "+callbacks.bar._target_=lightning.pytorch.callbacks.TQDMProgressBar")
    assert "Epoch 1" in capfd.readouterr().out


def test_without_progress_there_is_no_bar_at_all(run, capfd):
    run("train=cnn", "trainer.progress=false", "+callbacks.bar._target_=lightning.pytorch.callbacks.TQDMProgressBar")
    assert "Epoch" not in capfd.readouterr().out


def test_the_last_samples_of_a_gan_that_stops_early_are_drawn_and_the_last_generator_serves(run):
    folder = run(
        "train=dcgan", "trainer.max_epochs=6", "gan.picture_epochs=[5]", "gan.kid_every=5", *BRIEF,
        "gan.checkpoint=best_kid", f"{TARGET}.StopAtOnce",
    )  # fmt: skip
    assert [file.name for file in (folder / "samples").glob("*.png")] == ["epoch_0001.png"]
    assert Result.load(folder).selected_epoch == 1


class SpoilWeights(lightning.Callback):
    """Make the last update of a training one that diverges, which no training loss shows."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (batch_idx + 1, trainer.current_epoch + 1) == (trainer.num_training_batches, trainer.max_epochs):
            for weight in pl_module.network.parameters():
                weight.data.fill_(torch.nan)


def test_predictions_that_are_not_finite_fail_the_training(run):
    keys = [f"+callbacks.spoil._target_={__name__}.SpoilWeights", "classifier.checkpoint=last", "classifier.ema=null"]
    with pytest.raises(NonFiniteError, match=r"last\.ckpt: predicts values that are not finite; try a smaller classif"):
        run("train=cnn", *keys)


def test_a_gan_with_callbacks_is_kept_for_no_other_run(run, noted, tmp_path):
    for name in ("a", "b"):
        run("train=dcgan", f"{TARGET}.NoteMetrics", folder=tmp_path / name)
    assert len(noted) == 2 * 2


def test_accumulated_gradients_make_fewer_steps_of_a_classifier(run, tmp_path):
    job = ["train=cnn", "classifier.batch_size=8", "classifier.schedule=one_cycle", "classifier.ema=0.9"]
    plain, accumulated = (
        Result.load(run(*job, *extra, folder=tmp_path / name))
        for name, extra in (("plain", []), ("accumulated", ["+trainer.accumulate_grad_batches=2"]))
    )
    assert plain.optimizer_steps == 2 * accumulated.optimizer_steps
    assert plain.fingerprint != accumulated.fingerprint


@pytest.mark.parametrize(
    "job",
    [
        ["train=dcgan"],
        ["train=joint"],
        ["train=cnn", "balance=dcgan"],
        ["train=study", "train.arms=[none,dcgan]"],
    ],
)
def test_gradients_of_a_gan_cant_be_accumulated(read, job):
    config = read(*job, "+trainer.accumulate_grad_batches=2")
    with pytest.raises(
        ConfigError, match=r"trainer\.accumulate_grad_batches=2: \S+ trains a generator, and a GAN updates two"
    ):
        config.train.check(config)


def test_the_fingerprint_of_a_gan_knows_its_start(read, tmp_path, two_classes):
    from fer_experiments.data.prepared import PreparedData

    (tmp_path / "a.ckpt").write_bytes(b"a")
    (tmp_path / "b.ckpt").write_bytes(b"b")
    config = read("train=dcgan", "data=folder", f"data.root={two_classes}")
    data = PreparedData.prepare(config.data, 0)
    starts = [None, tmp_path / "a.ckpt", tmp_path / "b.ckpt"]
    prints = {gan_fingerprint(config.model_copy(update={"ckpt_path": start}), data, ["cat"]) for start in starts}
    assert len(prints) == 3


# Pruning


def write_sweep(folder, curves):
    """Write a sweep whose jobs have these values of valid/loss after each epoch."""
    SweepPlan(started=0.0, total=None, jobs=None).save(folder)
    for number, curve in enumerate(curves):
        history = [{"epoch": epoch, "valid/loss": value} for epoch, value in enumerate(curve, start=1)]
        result = build_result("none", 0, 0.5).model_copy(update={"history": history})
        (folder / f"job{number}").mkdir()
        result.save(folder / f"job{number}")


PRUNING = ["train=cnn", "callbacks=pruning", "callbacks.pruning.monitor=valid/loss", "callbacks.pruning.mode=min"]


@pytest.mark.parametrize(("earlier", "epochs"), [(0.001, 3), (99.0, 4)])
def test_a_job_worse_than_half_of_the_earlier_ones_is_stopped_after_the_warm_up(run, tmp_path, earlier, epochs):
    pytest.importorskip("optuna")
    (tmp_path / "sweep").mkdir()
    write_sweep(tmp_path / "sweep", [[earlier] * 4] * 4)
    result = Result.load(run(*PRUNING, "trainer.max_epochs=4", folder=tmp_path / "sweep" / "job"))
    assert len(result.history) == epochs


HALVING = ["train=cnn", "callbacks=successive_halving", "callbacks.pruning.monitor=valid/loss"]


@pytest.mark.parametrize(("earlier", "epochs"), [(0.001, 2), (99.0, 4)])
def test_successive_halving_stops_a_job_in_the_worse_half_at_a_rung(run, tmp_path, earlier, epochs):
    pytest.importorskip("optuna")
    (tmp_path / "sweep").mkdir()
    write_sweep(tmp_path / "sweep", [[earlier] * 4] * 4)
    keys = ["callbacks.pruning.first_epoch=2", "trainer.max_epochs=4"]
    result = Result.load(run(*HALVING, *keys, folder=tmp_path / "sweep" / "job"))
    assert len(result.history) == epochs


def halve(tmp_path, curves, history, epochs):
    """Return what would prune a training with this history in a sweep of these curves, and its trainer and module."""
    from optuna.pruners import SuccessiveHalvingPruner

    write_sweep(tmp_path, curves)
    pruning = Pruning("valid/loss", "min", 2, SuccessiveHalvingPruner(min_resource=2, reduction_factor=2))
    module = SimpleNamespace(history=[{"epoch": epoch + 1, "valid/loss": value} for epoch, value in enumerate(history)])
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer = SimpleNamespace(
        default_root_dir=tmp_path / "job",
        max_epochs=epochs,
        current_epoch=len(history),
        strategy=strategy,
        should_stop=False,
    )
    pruning.on_train_start(trainer, module)
    return pruning, trainer, module


def test_a_continued_training_was_compared_at_its_rungs_before(tmp_path):
    pytest.importorskip("optuna")
    pruning, trainer, module = halve(tmp_path, [[1.0] * 4] * 4, [0.5] * 2, epochs=4)
    module.history.append({"epoch": 3, "valid/loss": 5.0})  # worse than the others were at the first rung
    pruning.on_train_epoch_end(trainer, module)
    assert not trainer.should_stop


@pytest.mark.parametrize(("epochs", "is_warned"), [(2, True), (3, False)])
def test_a_search_of_trainings_too_short_to_be_stopped_says_so(tmp_path, caplog, epochs, is_warned):
    pytest.importorskip("optuna")
    halve(tmp_path, [], [], epochs)
    assert (f"first_epoch=2: this training has {epochs} epochs" in caplog.text) == is_warned


def test_the_search_of_a_gan_compares_trainings_by_kid(compose):
    config = compose("experiment=gan_search", "data=folder", "data.root=.")
    pruning = config.callbacks.pruning
    assert (pruning.monitor, pruning.mode) == ("gan/kid", "min")
    assert pruning.pruner.min_resource % config.gan.kid_every == 0


def test_pruning_needs_a_sweep(run):
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match=r"callbacks: Pruning compares a training with those of the other jobs of a"):
        run(*PRUNING)


def test_a_study_refuses_pruning(read):
    pytest.importorskip("optuna")
    config = read("train=study", "train.arms=[none,oversample]", "callbacks=pruning")
    with pytest.raises(ConfigError, match="callbacks: Pruning would give the arms"):
        config.train.check_with_torch(config)


def test_an_epoch_without_a_measurement_is_not_reported_to_the_pruner():
    reports = []
    pruning = Pruning("gan/kid", "min", 1, None)
    pruning.trial = SimpleNamespace(report=lambda value, epoch: reports.append((value, epoch)), should_prune=bool)
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    module = SimpleNamespace(history=[{"epoch": 1, "gan/kid": 0.1}, {"epoch": 2}])
    for epoch in range(2):
        metrics = {"gan/kid": torch.tensor(0.1)}  # Lightning keeps the last value
        trainer = SimpleNamespace(current_epoch=epoch, callback_metrics=metrics, strategy=strategy)
        pruning.on_train_epoch_end(trainer, module)
    assert reports == [(0.1, 1)]
