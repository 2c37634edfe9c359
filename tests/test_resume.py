"""A job that was killed and started again leaves what one that was not leaves."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from fer_experiments.classifier.module import Classifier
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.module import DCGAN
from fer_experiments.train.resume import Resume
from tests.conftest import TINY_FACES, TINY_NETWORKS, forget_gans
from tests.same_run import assert_same, curves

SMALL = ["trainer.max_epochs=4", "gan.batch_size=6", "classifier.batch_size=8"]  # two steps an epoch
GAN = ["train=dcgan", "gan.ema=200", "gan.diffaugment=color", "gan.mirror=true", "gan.checkpoint_every=2"]
FOLLOWED = [*GAN, "gan.kid_every=1", "gan.select=best_kid", "data.valid_fraction=0.4", "judge.epochs=1"]
PLAIN = ["train=cnn", "balance=drw", "augment=traditional", "classifier.checkpoint_every=1"]
RECIPE = ["train=cnn", "classifier=cnn_recipe", "balance=oversample", "classifier.checkpoint_every=2", "data.workers=2"]
INJECTED = ["train=cnn", "balance=dcgan", "balance.share=0.25", "classifier.checkpoint_every=1", "judge.epochs=1"]
STUDY = ["train=study", "train.arms=[none,dcgan]", "gan.checkpoint_every=1", "judge.epochs=1"]


class Killed(BaseException):
    """Not an Exception, which some jobs survive."""


@pytest.fixture
def killed(run, monkeypatch, tmp_path):
    """killed(job, owner, name, call): start the job in the folder "killed"; call number `call` of a method ends it."""

    def started(job, owner, name, call):
        whole, calls = getattr(owner, name), []

        def broken(*given, **named):
            calls.append(name)
            if len(calls) == call:
                raise Killed
            return whole(*given, **named)

        monkeypatch.setattr(owner, name, broken)
        with pytest.raises(Killed):
            run(*job, *SMALL, folder=tmp_path / "killed")
        monkeypatch.undo()

    return started


@pytest.mark.parametrize(
    ("job", "moments"),
    [
        pytest.param(
            FOLLOWED,
            [
                (DCGAN, "training_step", 1),  # before any checkpoint
                (DCGAN, "training_step", 8),  # in epoch 4, whose best.ckpt is newer than last.ckpt of epoch 2
                (Resume, "on_train_epoch_end", 2),  # between best.ckpt and last.ckpt of epoch 4
                (Image.Image, "save", 4),  # while images are written
                (Result, "save", 1),
            ],
            id="gan",
        ),
        pytest.param(
            PLAIN, [(Classifier, "training_step", 6), (Resume, "on_train_epoch_end", 2)], id="plain classifier"
        ),
        pytest.param(RECIPE, [(Resume, "on_train_epoch_end", 3), (Classifier, "training_step", 3)], id="recipe"),
        pytest.param(INJECTED, [(Classifier, "training_step", 5), (Result, "save", 1)], id="injected"),
    ],
)
def test_a_killed_job_ends_as_if_it_had_not_been(run, killed, tmp_path, job, moments):
    for moment in moments:
        killed(job, *moment)
    again = run(*job, *SMALL, folder=tmp_path / "killed")
    forget_gans()
    whole = run(*job, *SMALL, folder=tmp_path / "whole")
    assert curves(whole)
    assert_same(whole, again)


KILLED = {
    "gan": [*FOLLOWED, "gan.checkpoint_every=1", "gan.epochs=12"],
    "classifier": [*RECIPE, "balance=dcgan", "judge.epochs=1", "gan.epochs=2", "classifier.epochs=10"],
    "study": [*STUDY, "train.seeds=2", "train.workers=2", "gan.epochs=4", "classifier.epochs=4"],
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("job", KILLED)
def test_random_kills_change_nothing(job, tmp_path):
    overrides = [*KILLED[job], *TINY_FACES, *TINY_NETWORKS, *SMALL[1:], "accelerator=cpu"]
    line = [sys.executable, "-m", "tests.kill", str(tmp_path), "--kills=10", *overrides]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"{job}: {done.stdout}")
    for again in tmp_path.glob("killed_*/"):
        assert_same(tmp_path / "whole", again)
