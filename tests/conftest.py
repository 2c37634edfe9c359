"""Small data for all tests, and jobs run in this process."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.strict_config import build_config

TINY_NETWORKS = [
    "gan.width=4",
    "gan.image_size=32",
    "classifier.image_size=32",
    "reference_classifier.image_size=32",
]
TINY_FACES = ["data.train_per_class=40", "data.test_per_class=12", "data.counts={angry: 12, happy: 20}"]


def pytest_configure() -> None:
    """One thread for each process of tests and for what these start, as there is a process for each core."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """xdist sends what a test logged as UTF-8, which has no bytes for names that are none."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def _cache_of_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep decoded images and reference classifiers in a folder of this process of the test run, for all its tests."""
    os.environ["FER_EXPERIMENTS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """What tests write needs not survive a power failure, and a slow disk takes 10 ms for each file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def forget_gans() -> None:
    shutil.rmtree(Path(os.environ["FER_EXPERIMENTS_CACHE"]) / "gans", ignore_errors=True)


@pytest.fixture(autouse=True)
def _forget_gans_of_earlier_tests() -> None:
    """GANs are shared within a test alone, so that each that is to train one does."""
    forget_gans()


Compose = Callable[..., DictConfig]


@pytest.fixture
def compose(tmp_path: Path) -> Any:
    """compose(*overrides) -> the composed configuration, Hydra set up as in a job that writes to tmp_path / "run"."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3", job_name="test"):

        def composed(*overrides: str, folder: Path = tmp_path / "run") -> DictConfig:
            config = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
            with open_dict(config):
                config.hydra.runtime.output_dir = str(folder)
                config.hydra.mode = RunMode.RUN
            folder.mkdir(parents=True, exist_ok=True)
            HydraConfig.instance().set_config(config)
            task = deepcopy(config)
            with open_dict(task):
                del task["hydra"]
            return task

        yield composed


@pytest.fixture
def read(compose: Compose) -> Any:
    """read(*overrides) -> the checked Config."""
    from fer_experiments.train.config import Config
    from fer_experiments.train.settings import RunContext
    from fer_experiments.train.torch_checks import check_with_torch

    def read_config(*overrides: str) -> Config:
        composed = compose(*overrides)
        config = Config.read(composed, RunContext(dict(HydraConfig.get().runtime.choices)))
        check_with_torch(config)
        return config

    return read_config


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Any:
    """run(*overrides) -> the folder of the finished job; tiny drawn faces unless data= is overridden."""
    from fer_experiments.train.run import run_job

    def finished(*overrides: str, folder: Path = tmp_path / "run") -> Path:
        keys = {override.split("=")[0] for override in overrides}
        faces = [] if "data" in keys else [text for text in TINY_FACES if text.split("=")[0] not in keys]
        run_job(compose("trainer=smoke", "trainer.progress=false", *faces, *TINY_NETWORKS, *overrides, folder=folder))
        return folder

    return finished


def write_images(folder: Path, count: int, size: tuple[int, int] = (24, 24), mode: str = "RGB", seed: int = 0) -> None:
    """`count` unlike PNG images of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number:03d}.png")


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """root/{cat,dog}/*.png: 12 cats, 20 dogs."""
    root = tmp_path / "pets"
    write_images(root / "cat", 12, seed=1)
    write_images(root / "dog", 20, seed=2)
    return root


def source(name: str, **keys: Any) -> Any:
    """The data source of conf/data/NAME.yaml with other keys; much quicker than read()."""
    base, option = (OmegaConf.load(CONF_DIR / "data" / f"{file}.yaml") for file in ("base", name))
    node = OmegaConf.to_container(OmegaConf.merge(base, option), resolve=True)
    assert isinstance(node, dict)
    del node["defaults"]
    return build_config("data", node | keys)


def group_config(group: str, option: str, **keys: Any) -> Any:
    """The object of conf/GROUP/OPTION.yaml, a file without defaults, with other keys."""
    node = OmegaConf.to_container(OmegaConf.load(CONF_DIR / group / f"{option}.yaml"))
    assert isinstance(node, dict)
    return build_config(group, node | keys)


def joint_config(**keys: Any) -> Any:
    """conf/joint/adc.yaml with other keys."""
    return group_config("joint", "adc", **keys)


def gan_config(**keys: Any) -> Any:
    """conf/gan/dcgan.yaml with other keys."""
    return group_config("gan", "dcgan", **keys)


def classifier_config(**keys: Any) -> Any:
    """conf/classifier/cnn.yaml with other keys."""
    return group_config("classifier", "cnn", **keys)
