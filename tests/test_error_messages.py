"""What users mistype: each ends with status 2 and a short message with the key, the value and a remedy that works."""

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fer_experiments.__main__ import main
from fer_experiments.override_keys import explain_wrong_overrides
from tests.conftest import write_images

MAX_LINES = 6
ARMS = """'train.arms=[none,"dcgan [balance.add=200]"]'"""
PETS = "data=folder data.root=pets"
# (command as in a shell, words of the message, a command that the message suggests)
MISTAKES = [
    # keys
    ("gan.epoch=5", ["gan.epoch: unknown key; did you mean gan.epochs?"], "gan.epochs=5"),
    ("++gan.latnt_dim=5", ["gan.latnt_dim: unknown key; did you mean gan.latent_dim?"], ""),
    ("epochs=3", ["epochs: unknown key; did you mean classifier.epochs or gan.epochs or"], "gan.epochs=3"),
    ("data.grey=true", ["data.grey is now data.grayscale"], "data.grayscale=true"),
    ("gan.epochs", ["gan.epochs: has no value; write gan.epochs=VALUE"], ""),
    ("+gan.batch_size=8", ["+gan.batch_size: the key exists already; leave out the +"], "gan.batch_size=8"),
    ("+train.seed=3", ["train.seed: unknown key; did you mean train.seeds?"], "train.seeds=3"),
    ("+data.colour=1", ["data.colour: unknown key (keys here: arguments, bottleneck, "], ""),
    (
        "classifier.network.dropot=0",
        ["classifier.network.dropot: unknown key; did you mean classifier.network.dropout?"],
        "classifier.network.dropout=0",
    ),
    (
        "train=cnn +classifier.network.dropot=0",
        ["classifier.network.dropot: unknown key; did you mean classifier."],
        "",
    ),
    (
        "classifier.optimizer.decoupled=1",
        [
            "optimizer.decoupled: unknown key (keys here: fused, weight_decay); another "
            "argument of torch.optim.Adam is added by +classifier.optimizer.decoupled=VALUE"
        ],
        "",
    ),
    (
        "train=diffusion gan.width=8",
        ["gan.width: unknown key (keys here: batch_size,", "pretrained, target_class)"],
        "train=diffusion gan.module.width=8",
    ),
    (
        "classifier.optimizer.amsgrad=true",
        ["added by +classifier.optimizer.amsgrad=VALUE"],
        "+classifier.optimizer.amsgrad=true",
    ),
    (
        "train=cnn +classifier.optimizer.decoupled=1",
        ["optimizer.decoupled: unknown key", "(keys here: amsgrad, betas,"],
        "",
    ),
    (
        "logger.wandb.project=x",
        ["logger.wandb: there is no such key in logger=tensorboard; it is in logger=many, logger"],
        "logger=wandb logger.wandb.project=x",
    ),
    (
        "train=cnn logger=csv logger.csv.nam=x",
        ["logger.csv.nam: unknown key; did you mean logger.csv.name?"],
        "logger=csv logger.csv.name=x",
    ),
    (
        "data.counts.fear=5",
        ["data.counts.fear: can't be set by itself; write all of data.counts, such as"],
        "'data.counts={angry: 60, happy: 600}'",
    ),
    ("hydra.run.dirr=x", ["hydra.run.dirr: unknown key; did you mean hydra.run.dir?"], "hydra.run.dir=x"),
    ("seed_everything=3", ["seed_everything: unknown key; did you mean seed?"], "seed=3"),
    ("debug=fdr", ["debug: unknown key; did you mean trainer=debug?"], "trainer=debug"),
    ("train=cnn classifier.lr=0.1", ["classifier.lr: unknown key; did you mean classifier.learning_rate?\n"], ""),
    (
        "optimizer.lr=1",
        ["optimizer.lr: unknown key; did you mean classifier.learning_rate or gan.learning_rate or"],
        "",
    ),
    ("data=folder data.path=pets", ["data.path: unknown key; did you mean data.root?"], "data=folder data.root=pets"),
    (
        "classifier=timm classifier.name=a",
        ["classifier.name: unknown key; did you mean classifier.network.model_n"],
        "",
    ),
    ("data.batch_size=8", ["data.batch_size: unknown key; did you mean classifier.batch_size or gan.batch_size"], ""),
    (
        "trainer.profiler=simple",
        ["trainer.profiler: has no value in conf/trainer, and is added by +trainer.profiler=VALUE"],
        "+trainer.profiler=simple",
    ),
    (
        "~data.counts.angry",
        ["~data.counts.angry: can't be removed by itself; write all of data.counts, such as 'data.counts={angry"],
        "'data.counts={angry: 60, happy: 600}'",
    ),
    (
        "train=cnn +callbacks.mine._target_=EarlyStopping",
        ["callbacks.mine._target_=EarlyStopping: needs its package as well, as lightning.pytorch.callbacks.EarlySto"],
        "train=cnn +callbacks.a._target_=lightning.pytorch.callbacks.EarlyStopping +callbacks.a.monitor=valid/loss",
    ),
    (
        "train=cnn callbacks=early_stopping callbacks.early_stopping.mode=smallest",
        ["callbacks.early_stopping: can't be built: MisconfigurationException: `mode` can be min, max, got smallest"],
        "train=cnn callbacks=early_stopping callbacks.early_stopping.mode=min",
    ),
    ("--experimental-rerun note.txt", ["--experimental-rerun: there is no pickled job; the command itself"], ""),
    ("--epochs", ["usage:", "unrecognized arguments: --epochs"], ""),
    ("--config-name=nothing", ["Cannot find primary config 'nothing'"], ""),
    # names of files
    ("gan=null", ["gan=null: a group takes the name of a file, such as gan=dcgan"], "gan=dcgan"),
    (
        "balance=oversampel",
        ["conf/balance/ has no oversampel; did you mean balance=oversample?", "(it has balanced_"],
        "balance=oversample",
    ),
    (
        "experiment=qick",
        ["experiment=qick: conf/experiment/ has no qick; did you mean experiment=quick?"],
        "experiment=quick",
    ),
    (
        "balance=traditional",
        ["conf/balance/ has no traditional; did you mean augment=traditional?"],
        "augment=traditional",
    ),
    (
        "data=my/pets",
        ["data=my/pets: conf/data/ has no my/pets; images in a folder are"],
        "data=folder data.root=my/pets",
    ),
    ("data=pets", ["images in a folder are data=folder data.root=pets (it has digits, faces, "], PETS),
    ("hydra/launcher=joblb", ["hydra/launcher=joblb: there is no such file (there are basic, "], ""),
    (
        "-m train=cnn balance=oversampel,none",
        ["balance=oversampel: conf/balance/ has no oversampel; did you mean "],
        "balance=oversample",
    ),
    # arms
    (
        "train.arms=[none,oversampel]",
        ["train.arms: oversampel: conf/balance/ has no oversampel; did you mean oversample?"],
        "",
    ),
    (
        "train.arms=[dcgan+strongg]",
        ["train.arms: dcgan+strongg: conf/augment/ has no strongg; did you mean strong?"],
        "",
    ),
    ("train.arms=none", ["train.arms='none': input should be a valid list; write"], "'train.arms=[none]'"),
    ("'train.arms=none dcgan'", ["input should be a valid list; write"], "'train.arms=[none,dcgan]'"),
    (
        "train.arms=none,dcgan",
        ["several values are a sweep, for which -m must be given", "a list is written in brackets"],
        "'train.arms=[none,dcgan]'",
    ),
    (
        "train.arms=[none, dcgan]",
        ["the shell has split it at the spaces; put it in quotes: "],
        "'train.arms=[none, dcgan]'",
    ),
    ("train.arms=[none,dcgan [balance.add=200]]", ["the shell has split it at the spaces; put it in quotes: "], ARMS),
    ("'train.arms=[none,dcgan [balance.add=200]]'", ["needs quotes: "], ARMS),
    ("'train.arms=dcgan [balance.add=200]'", ["needs quotes: "], ""),
    (r"'data.group_pattern=[a-z]\d{3}'", [r"""needs quotes: 'data.group_pattern="[a-z]\d{3}"'"""], ""),
    ("""'train.arms="none,dcgan [balance.add=200]"'""", ["input should be a valid list; write"], ARMS),
    ("train.arms=[none,none]", ["train.arms=['none', 'none']: has none more than once; leave one out"], ""),
    ("train.arms=[none,none+none]", ["train.arms: none is named twice; leave one out"], ""),
    ("train.arms=[]", ["train.arms=[]: needs at least 1 item(s)"], ""),
    ("train.baseline=non", ["train.baseline: non: conf/balance/ has no non; did you mean none?"], ""),
    (
        "train.baseline=undersampl train.arms=[none,undersample]",
        ["train.baseline: undersampl: conf/balance/ has no undersampl; did you mean undersample?"],
        "",
    ),
    (
        "train.arms=[none+traditional,dcgan+traditional]",
        [
            "train.baseline=none: is not among the arms of real images, none+traditional, so that no arm could be said "
            "to help; did you mean train.baseline=none+traditional?"
        ],
        "train.arms=[none+traditional,dcgan+traditional] train.baseline=none+traditional",
    ),
    (
        "train.arms=[oversample,real_images,dcgan]",
        ["train.baseline=none: is not among the arms of real images, oversample, so", "add none to train.arms, or"],
        "train.arms=[oversample,real_images,dcgan] train.baseline=oversample",
    ),
    (
        "train.baseline=external 'train.arms=[none,\"external [balance.synthetic=.]\"]'",
        ["train.baseline=external: is not among the arms of real images, none, so that"],
        "",
    ),
    (
        "train.baseline=dcgan",
        ["train.baseline=dcgan: is not among the arms of real images, none, oversample, undersample, so that"],
        "",
    ),
    # shell and grammar
    ("seed = 3", ["seed = 3: has spaces around =; write seed=3"], "seed=3"),
    ("gan.epochs=[", ["gan.epochs=[: can't be read: its brackets don't match"], ""),
    ("data.counts={angry=5}", ["data.counts={angry=5}: can't be read: ", "written as {NAME: VALUE, NAME: VALUE}"], ""),
    (
        "data.counts={angry: 50, happy: 100}",
        ["the shell has split it at the spaces"],
        "'data.counts={angry: 50, happy: 100}'",
    ),
    (
        "data.counts=angry:50 data.counts=happy:100",
        ["is given 2 times", "as the shell makes it of {...} without quotes"],
        "'data.counts={angry: 50, happy: 100}'",
    ),
    # values
    ("data.classes=angry", ["data.classes='angry': input should be a valid list; write"], "'data.classes=[angry]'"),
    (
        "data.counts=100",
        ["data.counts=100: input should be a valid dictionary; write it in quotes, such as"],
        "'data.counts={angry: 60, happy: 600}'",
    ),
    ("'data.counts={angry: -1, happy: 9}'", ["data.counts.angry=-1: input should be greater than or equal to 1"], ""),
    ("train.seeds=0", ["fer_experiments: train.seeds=0: input should be greater than or equal to 1\n"], ""),
    ("train.margin=-1", ["fer_experiments: train.margin=-1: input should be greater than or equal to 0\n"], ""),
    ("train.seeds=many", ["train.seeds='many': input should be a valid integer, a valid list or 'auto'\n"], ""),
    ("train.seeds=2.0", ["train.seeds=2.0: input should be a valid integer", "write train.seeds=2"], "train.seeds=2"),
    ("train.seeds=[1,-1]", ["fer_experiments: train.seeds[1]=-1: input should be greater than or equal to 0\n"], ""),
    ("train.seeds=[1,1]", ["train.seeds=[1, 1]: has 1 more than once; leave one out"], ""),
    ("seed=", ["seed='': input should be a valid integer"], ""),
    (
        "gan.epochs=1e3",
        ["gan.epochs=1000.0: input should be a valid integer; write gan.epochs=1000"],
        "gan.epochs=1000",
    ),
    ("gan.image_size=50", ["gan.image_size=50: input should be 32, 64 or 128"], ""),
    ("train=cnn balance=dcgan balance.add=-1", ["balance.add=-1: input should be greater than or equal to 0"], ""),
    ("train.budget=30", ["train.budget=30: has no unit; give 30min, 30s or 30h"], "train.budget=30min"),
    (
        "data.test_fraction=20",
        ["data.test_fraction=20: input should be less than 1; 20% is"],
        "data.test_fraction=0.2",
    ),
    ("data.test_fraction=20%", ["data.test_fraction='20%': input should be a valid number"], "data.test_fraction=0.2"),
    (
        "accelerator=cuda",
        ["fer_experiments: accelerator='cuda': input should be 'auto', 'cpu', 'gpu' or 'mps'; did you "],
        "accelerator=gpu",
    ),
    (
        "trainer.precision=fp16",
        [
            "trainer.precision='fp16': input should be 'auto', '32-true', 'bf16-mixed' or '16-mixed'",
            "did you mean trainer.precision=16-mixed?",
        ],
        "",
    ),
    ("train.metric=acuracy", ["did you mean train.metric=accuracy?"], "train.metric=accuracy"),
    ("train.metric=f1", ["train.metric='f1': ", "did you mean train.metric=macro_f1?"], "train.metric=macro_f1"),
    ("data.parts={test:validation}", ["data.parts.test='validation': input should be 'train', 'valid' or 'test'"], ""),
    ("rerun=yes", ["rerun=yes: must be true, to start over, or false, to continue"], "rerun=true"),
    # sweeps
    ("seed=0,1", ["seed=0,1: several values are a sweep, for which -m must be given"], ""),
    ("-m train=dcgan gan.epochs=1,x", ["fer_experiments: gan.epochs='x': input should be a valid integer\n"], ""),
    ("-m train.arms=[none],[nonee]", ["train.arms: nonee: conf/balance/ has no nonee; did you mean none?"], ""),
    ("-m train=dcgan gan.epochs=interval(1,3)", ["does not support sweep type : INTERVAL_SWEEP"], ""),
    ("-m seed=0,1 hydra.sweep.dir=/proc/x", ["hydra.sweep.dir=/proc/x: can't be created or written: No such file"], ""),
    # folders and files
    (
        "hydra.run.dir=/proc/x",
        ["hydra.run.dir=/proc/x: can't be created or written: No such file", "such as hydra.run.dir="],
        "",
    ),
    ("hydra.run.dir=note.txt/x", ["hydra.run.dir=note.txt/x: can't be created or written: Not a directory"], ""),
    ("hydra.run.dir=note.txt", ["hydra.run.dir=note.txt: can't be created or written: File exists"], ""),
    ("data=folder", ["data.root: Missing mandatory value: root; give it as data.root=VALUE"], ""),
    ("data=folder data.root=", ["data.root='': must be the path of a file or folder"], ""),
    ("data=folder data.root=~/imgs", ["/home/imgs: does not exist (looked in "], ""),
    (
        "data=folder data.root=~nobody_here/imgs",
        ["data.root='~nobody_here/imgs': Could not determine home directory"],
        "",
    ),
    ("data=folder data.root=nowhere", ["data.root=nowhere: does not exist (looked in "], ""),
    (
        "data=folder data.root=note.txt",
        ["data.root=note.txt: is a file; give the folder that holds a folder for each"],
        "",
    ),
    ("data=folder data.root=pets/cat", ["data.root=pets/cat: no images in root/CLASS/ (looked for .bmp, .dcm, "], ""),
    ("train=evaluate checkpoint=nowhere.ckpt", ["checkpoint=nowhere.ckpt: can't be read: No such file"], ""),
    ("train=evaluate checkpoint=note.txt", ["checkpoint=note.txt: is not a checkpoint"], ""),
    (
        "gan.pretrained=note.txt",
        [
            "gan.pretrained=note.txt: its GAN has seen the training images of one split, and each seed",
            "data.split_seed=0",
        ],
        "",
    ),
    ("train=dcgan gan.pretrained=nowhere.ckpt", ["gan.pretrained='nowhere.ckpt': does not exist; give"], ""),
    ("train=cnn data.cache_dir=note.txt", ["data.cache_dir=note.txt: can't be written: "], ""),
    # classes and their images
    (f"{PETS} data.classes=[cat,dgo]", ["data.classes: no class dgo; the data has cat, dog"], ""),
    (
        f"{PETS} data.classes=[cat] 'data.counts={{cat: 2, dog: 9}}'",
        ["data.counts: dog is not in data.classes=['cat']"],
        "",
    ),
    (f"{PETS} data.minority=cow", ["data.minority=cow: is not one of cat, dog"], ""),
    (
        f"{PETS} 'data.counts={{cat: 9, dog: 10}}'",
        [
            "data.counts={cat: 9}: cat has 12 images, of which 2 are for validation "
            "and 2 for test, so that at most 8 can be for training; give "
        ],
        "'data.counts={cat: 8, dog: 10}'",
    ),
    (f"{PETS} train=dcgan gan.target_class=cow", ["gan.target_class=cow: is not one of cat, dog"], ""),
]


@contextmanager
def keep_logging() -> Iterator[None]:
    """Leave the handlers as they were; Hydra sets up those of a job."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:], root.level = handlers, level


@pytest.fixture
def answer(tmp_path, monkeypatch, capsys):
    """answer(command) -> (exit status, message) of the command in a folder that has pets/{cat,dog} and note.txt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(command: str) -> tuple[int, str]:
        if "pets" in command:
            write_images(tmp_path / "pets" / "cat", 12, seed=1)
            write_images(tmp_path / "pets" / "dog", 20, seed=2)
        (tmp_path / "note.txt").write_text("no checkpoint")
        monkeypatch.setattr(sys, "argv", ["fer_experiments", *shlex.split(command)])
        with keep_logging(), pytest.raises(SystemExit) as exit_request:
            main()
        return exit_request.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(("command", "words", "remedy"), MISTAKES, ids=[command for command, _, _ in MISTAKES])
def test_a_mistake_ends_with_status_2_and_a_short_message(answer, tmp_path, command, words, remedy):
    status, message = answer(command)
    assert status == 2, message
    for text in words:
        assert text in message
    assert "Traceback" not in message
    assert len(message.splitlines()) <= MAX_LINES, message
    assert not list(tmp_path.glob("multirun/*/*/checkpoints"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("experiment=mine", "; experiment/mine.yaml is chosen by --config-dir . experiment=mine (it has "),
        ("experiment=mine.yaml", "; experiment/mine.yaml is chosen by --config-dir . experiment=mine (it has "),
        (
            "classifier=net.yaml",
            "; put net.yaml into a folder classifier/ and choose it by --config-dir, the folder above, with classif",
        ),
        ("--config-dir . experiment=minne", "; did you mean experiment=mine? (it has cifar10_lt, "),
        (
            "--config-dir . experiment=mine",
            "experiment=mine: the file of an experiment begins with the line # @package",
        ),
        (
            "--config-dir . experiment=job",
            "'experiment/job': the file of an experiment begins with the line # @package",
        ),
    ],
)
def test_files_of_the_user_are_named_with_the_way_to_choose_them(answer, tmp_path, command, message):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("classifier: {epochs: 3}\n")
    (tmp_path / "experiment" / "job.yaml").write_text("defaults: [override /train: cnn]\n")
    (tmp_path / "net.yaml").write_text("defaults: [cnn]\n")
    status, text = answer(command)
    assert status == 2
    assert message in text


@pytest.mark.parametrize("remedy", sorted({remedy for _, _, remedy in MISTAKES if remedy}))
def test_what_a_message_suggests_is_accepted(read, monkeypatch, remedy):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)  # for accelerator=gpu, which this only reads
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    overrides = shlex.split(remedy)
    assert list(explain_wrong_overrides(overrides)) == []
    read(*overrides)
