"""A job that was killed and started again leaves the same files as one that was not."""

from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from PIL import Image

from fer_experiments.classifier.module import Classifier
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.module import DCGAN
from fer_experiments.joint.module import JointClassifier
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.trainer.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from fer_experiments.trainer.callbacks.exact_resume import ExactResume
from fer_experiments.trainer.fingerprint import load_finished
from fer_experiments.trainer.sigterm import ending_by_sigterm
from tests.conftest import TINY_FACES, TINY_NETWORKS, forget_gans, write_images
from tests.processes import run_module
from tests.results import build_result as result_of
from tests.same_run import assert_same, curves

pytestmark = pytest.mark.usefixtures("blank_figures")
SMALL = ["trainer.max_epochs=4", "gan.batch_size=6", "classifier.batch_size=8"]  # two steps an epoch
GAN = ["train=dcgan", "gan.ema=200", "gan.diffaugment=color", "gan.random_flip=true", "gan.checkpoint_every=2"]
FEW_IMAGES = ["train=dcgan", "gan=conditional", "gan.diffaugment=color", "gan.ada_target=0.0", "gan.lecam=0.1"]
FEW_IMAGES += ["gan.transition=[0.2,0.6]", "gan.checkpoint_every=2"]
BRIEF_REFERENCE = "reference_classifier.epochs=1"
TRACKED = [*GAN, "gan.kid_every=1", "gan.checkpoint=best_kid", "data.valid_fraction=0.4", BRIEF_REFERENCE]
PLAIN = ["train=cnn", "balance=drw", "augment=traditional", "classifier.checkpoint_every=1"]
RECIPE = ["train=cnn", "classifier=cnn_recipe", "balance=oversample", "classifier.checkpoint_every=2", "data.workers=2"]
INJECTED = [
    "train=cnn",
    "balance=dcgan",
    "balance.generated_fraction=0.25",
    "classifier.checkpoint_every=1",
    BRIEF_REFERENCE,
]
JOINT = ["train=joint", "gan.ema=100", "joint.warm_up=0.5", "classifier.checkpoint_every=1", BRIEF_REFERENCE]
STUDY = ["train=study", "train.arms=[none,dcgan]", "gan.checkpoint_every=1", BRIEF_REFERENCE]


class Killed(BaseException):
    """Stands for a kill. Not an Exception, which some jobs catch."""


@pytest.fixture
def killed(run, monkeypatch, tmp_path):
    """killed(job, owner, name, call): run the job in the folder "killed" until call number `call` of owner.name."""

    def run_until_call(job, owner, name, call):
        method, calls = getattr(owner, name), []

        def killed_at_call(*arguments, **keywords):
            calls.append(name)
            if len(calls) == call:
                raise Killed
            return method(*arguments, **keywords)

        monkeypatch.setattr(owner, name, killed_at_call)
        with pytest.raises(Killed):
            run(*job, *SMALL, folder=tmp_path / "killed")
        monkeypatch.undo()

    return run_until_call


ACCUMULATED = [*PLAIN, "classifier.ema=0.9", "+trainer.accumulate_grad_batches=2"]


@pytest.mark.parametrize(
    ("job", "moments"),
    [
        pytest.param(
            TRACKED,
            [
                (DCGAN, "training_step", 1),  # before any checkpoint
                (DCGAN, "training_step", 8),  # in epoch 4, whose best.ckpt is newer than last.ckpt of epoch 2
                (LastCheckpoint, "on_train_epoch_end", 2),  # between best.ckpt and last.ckpt of epoch 4
                (Image.Image, "save", 4),  # while images are written
                (Result, "save", 1),
            ],
            id="gan",
        ),
        pytest.param(FEW_IMAGES, [(DCGAN, "training_step", 7)], id="gan of few images"),
        pytest.param(
            PLAIN, [(Classifier, "training_step", 6), (LastCheckpoint, "on_train_epoch_end", 2)], id="plain classifier"
        ),
        pytest.param(ACCUMULATED, [(Classifier, "training_step", 6)], id="accumulated gradients"),
        pytest.param(
            RECIPE, [(LastCheckpoint, "on_train_epoch_end", 3), (Classifier, "training_step", 3)], id="recipe"
        ),
        pytest.param(
            JOINT,
            [
                (JointClassifier, "training_step", 5),
                (LastCheckpoint, "on_train_epoch_end", 2),
                (Image.Image, "save", 5),  # while images are written
                (Result, "save", 1),  # of the GAN
                (Result, "save", 2),  # of the classifier
            ],
            id="joint",
        ),
        pytest.param(INJECTED, [(Classifier, "training_step", 5), (Result, "save", 1)], id="injected"),
    ],
)
def test_a_killed_job_ends_as_if_it_had_not_been_killed(run, killed, tmp_path, job, moments):
    for moment in moments:
        killed(job, *moment)
    continued = run(*job, *SMALL, folder=tmp_path / "killed")
    forget_gans()
    uninterrupted = run(*job, *SMALL, folder=tmp_path / "uninterrupted")
    assert curves(uninterrupted)
    assert_same(uninterrupted, continued)


def test_sigterm_ends_a_job_with_the_status_that_shells_know(run, monkeypatch):
    def receive_sigterm(*_, **__):
        raise SIGTERMException

    monkeypatch.setattr(lightning.Trainer, "fit", receive_sigterm)
    with pytest.raises(SystemExit) as raised:
        run(*PLAIN, *SMALL)
    assert raised.value.code == 143


def test_the_checkpoints_of_a_users_callback_are_beside_those_of_the_run(run, killed, tmp_path):
    target = "lightning.pytorch.callbacks.ModelCheckpoint"
    job = [*PLAIN, f"+callbacks.mine._target_={target}", "+callbacks.mine.save_last=true",
           "+callbacks.mine.every_n_train_steps=1"]  # fmt: skip
    killed(job, Classifier, "training_step", 6)
    saved = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4  # at the end of an epoch
    assert (tmp_path / "killed" / "checkpoints" / "mine" / "last.ckpt").is_file()
    continued = run(*job, *SMALL, folder=tmp_path / "killed")
    uninterrupted = run(*job, *SMALL, folder=tmp_path / "uninterrupted")
    assert Result.load(continued).metrics == Result.load(uninterrupted).metrics


def test_a_training_that_had_stopped_early_does_not_go_on(run, killed, tmp_path):
    keys = ["callbacks=early_stopping", "callbacks.early_stopping.min_delta=9", "callbacks.early_stopping.patience=1"]
    killed([*PLAIN, *keys], Result, "save", 1)
    continued = run(*PLAIN, *keys, *SMALL, folder=tmp_path / "killed")
    uninterrupted = run(*PLAIN, *keys, *SMALL, folder=tmp_path / "uninterrupted")
    assert len(Result.load(uninterrupted).history) == 2
    assert_same(uninterrupted, continued)


def test_the_best_epoch_is_remembered_in_a_folder_that_was_moved(run, killed, tmp_path):
    killed(PLAIN, Classifier, "training_step", 6)
    saved = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    (state,) = [state for name, state in saved["callbacks"].items() if name.startswith("BestCheckpoint")]
    (tmp_path / "killed").rename(tmp_path / "moved")
    callback = BestCheckpoint(tmp_path / "moved", "valid/balanced_accuracy", "max")
    callback.load_state_dict(state)
    assert callback.best_model_path == str(tmp_path / "moved" / "checkpoints" / "best.ckpt")
    assert callback.best_k_models == {callback.best_model_path: state["best_model_score"]}


def test_the_best_checkpoint_of_a_later_epoch_than_that_of_the_resume_is_not_trusted(tmp_path):
    def build_callback() -> BestCheckpoint:
        return BestCheckpoint(tmp_path, "valid/loss", "min")

    callback = build_callback()
    callback.file.parent.mkdir()
    torch.save({"epoch": 2}, callback.file)  # Lightning counts from 0
    callback.best_epoch, callback.best_model_score = 3, torch.tensor(0.5)
    callback.best_k_models = {str(callback.file): callback.best_model_score}
    saved = callback.state_dict()
    same, later = build_callback(), build_callback()
    same.load_state_dict(saved)
    assert (same.best_epoch, same.best_model_score) == (3, 0.5)
    torch.save({"epoch": 6}, callback.file)
    later.load_state_dict(saved)
    assert (later.best_epoch, later.best_model_score, later.best_k_models) == (None, None, {})


def test_a_study_of_images_that_have_changed_is_refused_before_any_training(run, killed, two_classes, tmp_path):
    job = ["train.arms=[none,oversample]", "train.seeds=2", "data=folder", f"data.root={two_classes}"]
    killed(job, Classifier, "training_step", 11)  # in the second arm of the first seed
    write_images(two_classes / "cat", 15, seed=7)
    with pytest.raises(ConfigError, match=r"seed_0: has trainings of other images: their split was .* rerun=true"):
        run(*job, *SMALL, folder=tmp_path / "killed")
    assert not (tmp_path / "killed" / "seed_1").exists()


def test_a_study_continues_with_its_unfinished_trainings(run, killed, tmp_path):
    killed(STUDY, Classifier, "training_step", 11)  # in the second arm, after eight of the first
    seed = tmp_path / "killed" / "seed_0"
    done = [seed / name for name in ("gan/result.json", "gan/audit.json", "gan/synthetic/manifest.csv", "data.json")]
    done += [seed / "none" / name for name in ("result.json", "predictions.npz")]
    written = {file: file.stat().st_mtime_ns for file in done}
    folder = run(*STUDY, *SMALL, folder=tmp_path / "killed")
    assert {file: file.stat().st_mtime_ns for file in done} == written
    assert [result.arm for result in StudyRecord.load(folder).results] == ["none", "dcgan"]


def test_a_job_killed_by_the_system_ends_as_if_it_had_not_been_killed(tmp_path):
    overrides = [*PLAIN, "classifier.epochs=3", *TINY_FACES, *TINY_NETWORKS, "accelerator=cpu"]
    kill_at_random(tmp_path, "--kills=1", *overrides)
    assert_same(tmp_path / "uninterrupted", tmp_path / "killed_1")


def test_the_folder_of_another_training_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    result_of("none", 0, 0.5).save(tmp_path / "a")
    message = (
        r"a: holds a training with other settings or images \(None, this one is 0123\); start over with rerun=true"
    )
    with pytest.raises(ConfigError, match=message):
        load_finished(tmp_path / "a", "0123")
    assert load_finished(tmp_path / "b", "0123") is None


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda file: torch.save({"resume": {"fingerprint": "4567"}}, file),
            r"holds a training with other .*4567, this one",
        ),
        (
            lambda file: file.write_bytes(b"PK"),
            r"last\.ckpt: can't be continued from \(.*\); start over with rerun=true",
        ),
        (lambda file: torch.save({}, file), r"last\.ckpt: can't be continued from \(KeyError: 'resume'\)"),
    ],
)
def test_a_checkpoint_that_cant_be_continued_from_is_refused(tmp_path, write, message):
    resume = ExactResume(tmp_path, "0123")
    resume.last_checkpoint.parent.mkdir()
    write(resume.last_checkpoint)
    with pytest.raises(ConfigError, match=message):
        resume.fit(SimpleNamespace(), SimpleNamespace(), SimpleNamespace())


def kill_at_random(folder, *arguments):
    """Run tests/kill.py; return its line about the kills."""
    process = run_module("tests.kill", [str(folder), *arguments], folder, seconds=3600)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


KILLED_JOBS = {
    "gan": [*TRACKED, "gan.checkpoint_every=1", "gan.epochs=12"],
    "classifier": [*RECIPE, "balance=dcgan", BRIEF_REFERENCE, "gan.epochs=2", "classifier.epochs=10"],
    "joint": [*JOINT, "joint.head=external", "classifier.epochs=12"],
    "study": [*STUDY, "train.seeds=2", "train.workers=2", "gan.epochs=4", "classifier.epochs=4"],
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("job", KILLED_JOBS)
def test_random_kills_change_nothing(job, tmp_path):
    overrides = [*KILLED_JOBS[job], *TINY_FACES, *TINY_NETWORKS, *SMALL[1:], "accelerator=cpu"]
    print(f"{job}: {kill_at_random(tmp_path, '--kills=8', *overrides)}")
    for continued in tmp_path.glob("killed_*/"):
        assert_same(tmp_path / "uninterrupted", continued)


def test_sigterm_that_arrives_in_a_prediction_ends_the_command_after_it():
    with pytest.raises(SystemExit) as raised, ending_by_sigterm(SimpleNamespace(received_sigterm=True)):
        pass
    assert raised.value.code == 143
    with ending_by_sigterm(SimpleNamespace(received_sigterm=False)):
        pass
