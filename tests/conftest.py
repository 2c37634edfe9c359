"""Small data for all tests, and jobs run in this process."""

import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra._internal.defaults_list import DefaultsList, Overrides, create_defaults_list
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.completed_overrides import complete_overrides, is_other_generator
from fer_experiments.data import synthetic
from fer_experiments.strict_config import build_config

TINY_NETWORKS = [
    "gan.width=4",
    "gan.image_size=32",
    "classifier.image_size=32",
    "reference_classifier.image_size=32",
]
TINY_FACES = ["data.train_per_class=40", "data.test_per_class=12", "data.counts={angry: 12, happy: 20}"]


def pytest_configure() -> None:
    """One thread for each process of tests and for what these start, as there is a process for each core.

    The garbage collector, which takes a tenth of the time, goes through all objects less often.
    """
    gc.set_threshold(5000, 10, 20)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the objects of the imports, which live to the end."""
    gc.freeze()


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


@pytest.fixture(scope="session", autouse=True)
def _compose_each_choice_of_files_once() -> Iterator[None]:
    """Read each file of conf/, and merge each choice of files, once for all tests; values are set in a copy.

    Hydra takes 0.1 s for it, and tests compose hundreds of times.
    """
    read, choose = ConfigRepository.load_config, create_defaults_list
    merge = ConfigLoaderImpl._compose_config_from_defaults_list
    files: dict[Any, ConfigResult | None] = {}
    choices: dict[Any, DefaultsList] = {}
    merged: dict[Any, DictConfig] = {}

    def search_path(repo: IConfigRepository) -> tuple[str, ...]:
        return tuple(source.full_path() for source in repo.get_sources())

    def read_once(repo: ConfigRepository, config_path: str) -> ConfigResult | None:
        key = (search_path(repo), config_path)
        if key not in files:
            files[key] = read(repo, config_path)
        return deepcopy(files[key])

    def choose_once(
        repo: IConfigRepository, config_name: str | None, overrides_list: list[Override], **options: bool
    ) -> DefaultsList:
        values = Overrides(repo, overrides_list).config_overrides
        options_of_groups = [override for override in overrides_list if override not in values]
        lines = tuple(override.input_line for override in options_of_groups)
        key = (search_path(repo), config_name, lines, *options.items())
        if key not in choices:
            choices[key] = choose(repo, config_name, options_of_groups, **options)
        return replace(choices[key], config_overrides=values)

    def merge_once(loader: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        key = (search_path(repo), repr(defaults))
        if key not in merged:
            merged[key] = merge(loader, defaults, repo)
        return deepcopy(merged[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", read_once)
        patch.setattr(config_loader_impl, "create_defaults_list", choose_once)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merge_once)
        yield


def forget_gans() -> None:
    shutil.rmtree(Path(os.environ["FER_EXPERIMENTS_CACHE"]) / "gans", ignore_errors=True)


@pytest.fixture(autouse=True)
def _forget_gans_of_earlier_tests() -> None:
    """GANs are shared within a test alone, so that each that is to train one does."""
    forget_gans()


Compose = Callable[..., DictConfig]


@contextmanager
def set_up_hydra(default_folder: Path) -> Iterator[Compose]:
    """Set up Hydra as in a job, and give compose(*overrides, folder=default_folder) -> the composed configuration."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3", job_name="test"):

        def composed(*overrides: str, folder: Path = default_folder) -> DictConfig:
            """Compose what a command line with these overrides does."""
            config = hydra.compose("config", overrides=list(complete_overrides(overrides)), return_hydra_config=True)
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
def compose(tmp_path: Path) -> Any:
    """compose(*overrides) -> the composed configuration, Hydra set up as in a job that writes to tmp_path / "run"."""
    with set_up_hydra(tmp_path / "run") as composed:
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


def run_tiny_job(compose: Compose, folder: Path, overrides: tuple[str, ...]) -> Path:
    """Run a job in a folder, and return it; with tiny drawn faces unless data= is overridden."""
    from fer_experiments.train.run import run_job

    keys = {override.split("=")[0] for override in overrides}
    faces = [] if "data" in keys else [text for text in TINY_FACES if text.split("=")[0] not in keys]
    is_study = keys.isdisjoint({"train", "experiment"}) or "train=study" in overrides
    seeds = ["train.seeds=1"] if is_study and "train.seeds" not in keys else []
    is_dcgan = not any(map(is_other_generator, overrides))
    networks = [text for text in TINY_NETWORKS if is_dcgan or not text.startswith("gan.width")]
    settings = ["trainer=smoke", "trainer.progress=false", *faces, *seeds, *networks]
    run_job(compose(*settings, *overrides, folder=folder))
    return folder


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Any:
    """run(*overrides) -> the folder of the finished job; tiny drawn faces unless data= is overridden."""

    def finished(*overrides: str, folder: Path = tmp_path / "run") -> Path:
        return run_tiny_job(compose, folder, overrides)

    return finished


@pytest.fixture
def blank_figures() -> Iterator[None]:
    """Leave the figures of reports undrawn, which take half the time of a study, for tests that don't look at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fer_experiments.report.figures.pictures.render_svg", lambda figure: b"<svg/>")
        yield


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """run_once(*overrides) -> the folder of the job, run for the first of a file's tests that need it; don't change it.

    GANs are kept from none of its jobs to another.
    """
    folders: dict[tuple[str, ...], Path] = {}

    def finished(*overrides: str) -> Path:
        if overrides not in folders:
            folder = tmp_path_factory.mktemp("once") / "run"
            forget_gans()
            hydra_of_test = GlobalHydra.instance().hydra
            with set_up_hydra(folder) as composed:
                folders[overrides] = run_tiny_job(composed, folder, overrides)
            GlobalHydra.instance().hydra = hydra_of_test
            forget_gans()
        return folders[overrides]

    return finished


def write_images(folder: Path, count: int, size: tuple[int, int] = (24, 24), mode: str = "RGB", seed: int = 0) -> None:
    """`count` unlike PNG images of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number:03d}.png")


def write_synthetic(folder: Path, *arguments: Any, **options: Any) -> None:
    """Write generated images of one class, with their manifest. Arguments as those of synthetic.write_images."""
    synthetic.add_to_manifest(folder, [synthetic.write_images(folder, *arguments, **options)])


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """root/{cat,dog}/*.png: 12 cats, 20 dogs."""
    root = tmp_path / "pets"
    write_images(root / "cat", 12, seed=1)
    write_images(root / "dog", 20, seed=2)
    return root


def source(name: str, /, **keys: Any) -> Any:
    """The data source of conf/data/NAME.yaml with other keys; much quicker than read()."""
    return group_config("data", name, **keys)


def group_config(group: str, option: str, **keys: Any) -> Any:
    """The object of conf/GROUP/OPTION.yaml, a file that builds on no other than base, with other keys."""
    files = [CONF_DIR / group / f"{file}.yaml" for file in ("base", option)]
    node = OmegaConf.to_container(
        OmegaConf.merge(*map(OmegaConf.load, filter(Path.is_file, files))), resolve=group == "data"
    )
    assert isinstance(node, dict)
    node.pop("defaults", None)
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
