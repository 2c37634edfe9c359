"""Every experiment with every job: it runs, or an error says which of its keys the job lacks."""

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from fer_experiments.conf_files import list_keys, list_options, read_experiment
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import CONF_DIR
from fer_experiments.train.config import Config
from fer_experiments.train.experiment_keys import check_experiment_keys

EXPERIMENTS = [name for name in list_options("experiment") if name != "optuna"]  # whose sweeper need not be installed


@pytest.fixture
def check(compose):
    """check(*overrides) -> the composed configuration, whose experiment fits the chosen files."""

    def checked(*overrides):
        composed = compose(*overrides)
        check_experiment_keys(composed, HydraConfig.get().runtime)
        return composed

    return checked


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_with_every_job_or_says_which_key_the_job_lacks(check, name):
    for job in list_options("train"):
        keys = [key for group, key in read_experiment(name).files if group == "train"]
        lacking = [key for key in keys if key not in list_keys("train", job)]
        if job == "diffusion" and ("gan", "width") in read_experiment(name).files and not lacking:
            with pytest.raises(ConfigError, match=rf"gan\.width: set by experiment={name} .*gan=diffusion has no such"):
                check(f"experiment={name}", f"train={job}")
            continue
        if not lacking:
            needed = ["checkpoint=x.ckpt"] if job == "evaluate" else []
            Config.read(check(f"experiment={name}", f"train={job}", *needed))
            continue
        with pytest.raises(
            ConfigError, match=rf"set by experiment={name} .* for train=study, but train={job} has no"
        ) as caught:
            check(f"experiment={name}", f"train={job}")
        assert all(f"train.{key}" in str(caught.value) for key in lacking)


def test_the_file_that_sets_the_key_is_named(check):
    message = (
        r"^train\.seeds, train\.arms: set by experiment=paper \(conf/experiment/paper\.yaml\) for train=study, "
        r"but train=joint has "
        r"no such key; leave out train=joint, or leave out experiment=paper and give what you need of it yourself$"
    )
    with pytest.raises(ConfigError, match=message):
        check("experiment=paper", "train=joint")
    with pytest.raises(ConfigError, match=r"^train\.seeds, train\.arms: set by experiment=paper_protocol"):
        check("experiment=paper_protocol", "train=cnn")


def test_a_key_that_is_removed_or_of_no_file_is_no_concern(check):
    Config.read(check("experiment=paper", "train=joint", "~train.arms", "~train.seeds"))
    with pytest.raises(ConfigError, match=r"^train\.armz: unknown key; did you mean train\.arms\?"):
        Config.read(check("experiment=paper", "++train.armz=1"))


def test_a_user_s_experiment_is_explained_in_every_group(compose, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "faint.yaml").write_text("balance: {gamma: 3.0}\n")
    composed = compose("train=cnn", "balance=oversample", "++balance.gamma=3.0")
    sources = [{"path": str(folder), "schema": "file"} for folder in (tmp_path / "mine", CONF_DIR)]
    choices = {"experiment": "faint", "balance": "oversample"}
    runtime = OmegaConf.create({"config_sources": sources, "choices": choices})
    message = (
        r"^balance\.gamma: set by experiment=faint \(mine/experiment/faint\.yaml\) for balance=focal, but balance=ov"
    )
    with pytest.raises(ConfigError, match=message):
        check_experiment_keys(composed, runtime)
