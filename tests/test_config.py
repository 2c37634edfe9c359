"""Configuration: every file composes, and what can't be run stops before any work with the key named."""

import re
from pathlib import Path

import pytest
import torch

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.errors import ConfigError
from fer_experiments.renamed_keys import KEYS, present_name
from fer_experiments.train.config import GROUPS, Config

OPTIONS = sorted(
    (path.parent.name, path.stem)
    for path in CONF_DIR.glob("*/*.yaml")
    if path.stem != "base"
    and path.parent.name in (*GROUPS, "experiment")
    and (path.parent.name, path.stem) not in {("encoder", "inception"), ("encoder", "timm")}  # see test_encoder.py
)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_is_valid(read, monkeypatch, group, option):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)  # for trainer=gpu, which this only reads
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)  # for trainer=ddp
    needs = {
        **{option: ["data.root=."] for option in ("folder", "fer2013", "mma")},
        "table": ["data.table=x.csv"],
        "npz": ["data.file=x.npz"],
        "torchvision": ["data.name=MNIST", "data.root=."],
        **{option: ["data.name=x"] for option in ("huggingface", "medmnist")},
        "external": ["balance.synthetic=."],
        "custom": ["gan.module._target_=tests.own_generator.MeanImage"],
        "evaluate": ["checkpoint=best.ckpt"],
    }
    assert isinstance(read(f"{group}={option}", *needs.get(option, [])), Config)


DOCUMENTED = sorted([*CONF_DIR.glob("*/*.yaml"), *CONF_DIR.glob("hydra/launcher/*.yaml")])


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_opens_with_a_sentence_and_a_command(path):
    lines = [line for line in path.read_text().splitlines() if line != "# @package _global_"]
    assert lines[0].startswith("# ")
    assert path.stem == "base" or lines[1].startswith("#   python -m fer_experiments")


def test_conf_and_package_have_the_same_rooms():
    package = Path(CONF_DIR).parent / "fer_experiments"
    for group in set(GROUPS) - {"reference_classifier"}:  # which is another option of conf/classifier
        assert (CONF_DIR / group).is_dir()
        assert (package / group).is_dir()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("++gan.latnt_dim=5", r"gan\.latnt_dim: unknown key; did you mean gan\.latent_dim\?"),
        ("++anything=1", "anything: unknown key"),
        ("++gans_since=9e12", "gans_since: unknown key"),
        ("++context={choices: {}}", "context: unknown key"),
        ("trainer.strategy=fsdp", r"trainer: strategy=fsdp: .*use strategy=auto or trainer=ddp"),
        ("gan.checkpoint=a.ckpt", r"gan\.checkpoint='a\.ckpt': must be last or best_kid; .*gan\.pretrained=PATH"),
        ("++data.colour=1", r"data\.colour: unknown key"),
        ("++train.x=1", r"train\.x: unknown key"),
        ("++balance.x=1", r"balance\.x: unknown key"),
        ("++trainer.x=1", r"trainer\.x: unknown key"),
        (
            "++classifier.network.dropot=0.1",
            r"classifier\.network\.dropot: unknown key; did you mean classifier\.network\.d",
        ),
        ("gan.epochs=many", r"gan\.epochs='many': input should be a valid integer"),
        ("gan.epochs=1.5", r"gan\.epochs=1\.5: input should be a valid integer"),
        ("gan.epochs=true", r"gan\.epochs=True: input should be a valid integer"),
        ("gan.epochs=0", r"gan\.epochs=0: .*greater than or equal to 1"),
        ("gan.latent_dim=0", r"gan\.latent_dim=0: .*greater than or equal to 1"),
        ("gan.image_size=48", r"gan\.image_size=48: .*32, 64 or 128"),
        ("gan.betas=[0.5]", r"gan\.betas=\[0\.5\]: Adam takes two betas|adam takes two betas"),
        ("gan.learning_rate=-1", r"gan\.learning_rate=-1: .*greater than 0"),
        ("gan.loss=wasserstein", r"gan\.loss='wasserstein': .*'bce', .*'lsgan', 'wgan_gp' or 'relativistic'"),
        ("classifier.network.dropout=1.5", r"classifier\.network=.*dropout probability"),
        ("classifier.image_size=20", r"classifier\.network=.*need 22 pixels or more"),
        ("classifier.network._target_=no.such.Network", r"network.*_target_=no\.such\.Network: can't be imported"),
        ("seed=-1", r"seed=-1: .*greater than or equal to 0"),
        ("accelerator=tpu", r"accelerator='tpu': .*'auto', 'cpu', 'gpu' or 'mps'"),
        ("data.channels=2", r"data\.channels=2: .*1 or 3"),
        ("data.valid_fraction=1.5", r"data\.valid_fraction=1\.5: .*less than 1"),
        ("data.parts={test: nowhere}", r"data\.parts.*'nowhere'"),
        ("data.imbalance=0.5", r"data\.imbalance=0\.5: .*greater than or equal to 1"),
        ("balance.sampling_strategy=often", r"balance\.sampling_strategy.*'often'"),
        ("balance.sampling_strategy=1.5", r"balance\.sampling_strategy.*1\.5"),
        ("train.seeds=0", r"train\.seeds.*0"),
        ("train.seeds=[1,1]", r"train\.seeds.*has 1 more than once"),
        ("train.arms=[]", r"train\.arms"),
        ("data=folder", r"data\.root: .*give it as data\.root=VALUE"),
        ("data=mma", r"data: root=null: give data\.root=PATH/MMAFEDB, or data\.download=true"),
    ],
)
def test_what_cant_be_run_is_refused_by_key(read, override, message):
    with pytest.raises(ConfigError, match=message):
        read(override)


@pytest.mark.parametrize(
    ("former", "present"),
    [(f"{group}.{old}", f"{group}.{new}") for group, keys in KEYS.items() for old, new in keys.items()],
)
def test_a_former_key_is_answered_with_the_present_one(read, former, present):
    group, _, key = present.partition(".")
    option = {"balance": {"reweight_after": "drw", "generated_fraction": "dcgan"}}.get(group, {}).get(key)
    chosen = [] if option is None else [f"{group}={option}"]
    with pytest.raises(ConfigError, match=rf"{re.escape(former)}: is now {re.escape(present)}$"):
        read(*chosen, f"++{former}=1")
    assert hasattr(getattr(read(*chosen), group), key)


def test_a_former_group_is_answered_with_the_present_one(read):
    with pytest.raises(ConfigError, match=r"judge: is now reference_classifier"):
        read("++judge.epochs=3")


@pytest.mark.parametrize(
    ("key", "present"),
    [
        ("judge", "reference_classifier"),
        ("judge.epochs", "reference_classifier.epochs"),
        ("judge.mirror_test", "reference_classifier.flip_test"),
        ("gan.inception", "encoder.weights, with encoder=inception"),
        ("trainer.precision", None),
        ("seed", None),
    ],
)
def test_the_present_name_of_a_key(key, present):
    assert present_name(key) == present


def test_several_mistakes_are_named_at_once(read):
    with pytest.raises(ConfigError, match=r"(?s)data\.channels.*gan\.epochs") as caught:
        read("gan.epochs=0", "data.channels=7")
    assert len(str(caught.value).splitlines()) == 2


def test_gpu_without_a_gpu_says_what_to_use(read, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ConfigError, match="accelerator=gpu: torch finds no GPU here; use accelerator=cpu"):
        read("accelerator=gpu")


@pytest.mark.parametrize("trainer", ["auto", "smoke", "ddp", "cpu"])
def test_accelerator_reaches_the_trainer(read, trainer):
    assert read(f"trainer={trainer}", "accelerator=cpu").trainer.accelerator == "cpu"


def test_an_accelerator_that_the_trainer_would_ignore_is_refused(read, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert read("trainer=smoke", "accelerator=gpu").trainer.accelerator == "gpu"
    with pytest.raises(ConfigError, match="accelerator=gpu: the trainer has accelerator=cpu; leave out accelerator"):
        read("trainer=cpu", "accelerator=gpu")
    with pytest.raises(ConfigError, match="accelerator=cpu: the trainer has accelerator=gpu; leave out accelerator"):
        read("trainer=gpu", "accelerator=cpu")


def test_counts_on_the_command_line_replace_the_default_ones(read):
    assert read("data.counts={sad: 5, fear: 7}").data.counts == {"sad": 5, "fear": 7}


def test_paper_experiment_is_the_papers(read):
    config = read("experiment=paper")
    assert config.data.counts == {"angry": 820, "happy": 900}
    assert (config.gan.epochs, config.gan.latent_dim, config.gan.image_size) == (300, 100, 64)
    assert config.classifier.image_size == 100
    assert config.train.arms == ["none", "none+traditional", "dcgan", "dcgan+traditional"]


@pytest.mark.parametrize("name", ["imbalance_sweep", "dose_response"])
def test_a_sweep_s_classes_are_even_so_that_every_ratio_is_possible(compose, name):
    from hydra.core.hydra_config import HydraConfig

    config = Config.read(compose(f"experiment={name}", "data.imbalance=1"))
    assert len(set(config.data.counts.values())) == 1
    assert set(HydraConfig.get().sweeper.params) == {"data.imbalance"}
    assert config.train.baseline in config.train.arms


def test_the_command_line_wins_over_an_experiment(read):
    assert read("experiment=paper", "gan.epochs=7").gan.epochs == 7
