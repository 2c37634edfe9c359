"""ckpt_path: a training that begins from the checkpoint of another run."""

from itertools import count

import pytest
import torch

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from tests.conftest import forget_gans
from tests.same_run import is_same

CONSTANT = "classifier.schedule=null"  # the learning rate of a schedule ends with its training
GAN = ["train=dcgan", "gan.ema=100", "gan.diffaugment=color"]
CNN = ["train=cnn", "balance=oversample", "augment=traditional", "classifier=cnn_recipe", "classifier.schedule=null"]


def load(folder):
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {name: saved[name] for name in ("state_dict", "optimizer_states", "epoch")}


@pytest.mark.parametrize(
    "job", [GAN, CNN, ["train=joint", "reference_classifier.epochs=1", CONSTANT]], ids=["gan", "cnn", "joint"]
)
def test_a_longer_training_from_a_checkpoint_is_that_of_as_many_epochs(run, tmp_path, job):
    short = run(*job, "trainer.max_epochs=2", folder=tmp_path / "short")
    start = f"ckpt_path={short / 'checkpoints' / 'last.ckpt'}"
    longer = run(*job, "trainer.max_epochs=4", start, folder=tmp_path / "longer")
    forget_gans()
    whole = run(*job, "trainer.max_epochs=4", folder=tmp_path / "whole")
    assert is_same(load(longer), load(whole))
    results = Result.load(longer), Result.load(whole)
    assert results[0].history == results[1].history
    assert results[0].fingerprint != results[1].fingerprint


def test_what_cant_begin_from_a_checkpoint_is_refused(run, tmp_path):
    folder = run(*CNN, folder=tmp_path / "first")
    checkpoint = folder / "checkpoints" / "last.ckpt"

    folders = (tmp_path / str(number) for number in count())

    def refuses(message, *overrides, job=CNN, path=checkpoint):
        with pytest.raises(ConfigError, match=message):
            run(*job, f"ckpt_path={path}", "trainer.max_epochs=4", *overrides, folder=next(folders))

    refuses(r"ckpt_path=.*last\.ckpt: has 2 epochs, and this training ends after 2; set more", "trainer.max_epochs=2")
    refuses(r"was trained on the split \w+, but this run's split is \w+, so that", "seed=1")
    refuses(
        r"classifier\.learning_rate=0\.5 would have no effect: .*set classifier\.learning_rate=",
        "classifier.learning_rate=0.5",
    )
    refuses(r"holds another network \(network\.\S+ differs\)", "classifier.image_size=48")
    refuses(r"holds another network", job=GAN)
    refuses(r"ckpt_path=.*nothing\.ckpt: there is no such file; give multirun", path=tmp_path / "nothing.ckpt")
    refuses(r"ckpt_path=.*nothing\.ckpt: there is no such file; give multirun", job=GAN, path=tmp_path / "nothing.ckpt")
    (tmp_path / "text.ckpt").write_text("text")
    refuses(r"can't be continued from .*; give checkpoints/last\.ckpt of the run", path=tmp_path / "text.ckpt")
    refuses(r"can't be continued from \(KeyError", path=folder / "checkpoints" / "best.ckpt")
    refuses(r"a study trains every arm from random weights", job=["train=study"])
    refuses(r"with gan\.pretrained=.* nothing is trained", job=[*GAN, f"gan.pretrained={checkpoint}"])


def test_a_schedule_ends_with_the_training_of_its_checkpoint(run, tmp_path):
    job = [*CNN, "classifier.schedule=cosine"]
    folder = run(*job, folder=tmp_path / "first")
    start = f"ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"
    for number, schedule in enumerate(("cosine", "null")):  # the second would else be told to set cosine as well
        keys = [f"classifier.schedule={schedule}", "trainer.max_epochs=4"]
        with pytest.raises(ConfigError, match=r"^ckpt_path=\S+: its learning rate schedule cosine ends with [^\n]*$"):
            run(*job, start, *keys, folder=tmp_path / str(number))


def test_a_transition_ends_with_the_training_of_its_checkpoint(run, tmp_path):
    job = ["train=dcgan", "gan=conditional", "gan.transition=[0.2,0.6]"]
    folder = run(*job, "trainer.max_epochs=2", folder=tmp_path / "first")
    start = f"ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(ConfigError, match=r"^ckpt_path=\S+: its gan\.transition would begin anew[^\n]*$"):
        run(*job, start, "trainer.max_epochs=4", folder=tmp_path / "second")


@pytest.mark.parametrize("balance", [["balance=none"], ["balance=logit_adjustment", "balance.tau=2.0"]])
def test_classes_that_are_weighted_otherwise_are_refused(run, tmp_path, balance):
    folder = run("train=cnn", "balance=logit_adjustment", CONSTANT, folder=tmp_path / "first")
    start = f"ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(ConfigError, match=r"its balance strategy weighted or shifted classes otherwise"):
        run("train=cnn", *balance, CONSTANT, start, "trainer.max_epochs=4", folder=tmp_path / "second")


def test_early_stopping_begins_anew(run, tmp_path):
    stopping = ["train=cnn", CONSTANT, "callbacks=early_stopping", "callbacks.early_stopping.min_delta=9"]
    first = run(*stopping, "callbacks.early_stopping.patience=1", "trainer.max_epochs=9", folder=tmp_path / "first")
    start = f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}"
    second = run(*stopping, "callbacks.early_stopping.patience=3", start, "trainer.max_epochs=9", folder=tmp_path / "b")
    assert [len(Result.load(folder).history) for folder in (first, second)] == [2, 2 + 1 + 3]


def test_a_classifier_with_a_gan_begins_from_its_checkpoint_alone(run, tmp_path):
    job = ["train=cnn", "balance=dcgan", "reference_classifier.epochs=1", CONSTANT]
    first = run(*job, folder=tmp_path / "first")
    start = f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}"
    second = run(*job, start, "classifier.epochs=3", "gan.epochs=2", "trainer.max_epochs=3", folder=tmp_path / "second")
    assert len(Result.load(second).history) == 3
    assert Result.load(second / "gan").fingerprint is not None
