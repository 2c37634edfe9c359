"""The README's examples of classes of a user's own, run as they are printed, and its links and those of the pages."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fer_experiments.report.study_record import StudyRecord
from tests.conftest import TINY_FACES, TINY_NETWORKS, write_images
from tests.test_cli import command

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob(".github/**/*.md"))]
SECTION = README.read_text().partition("## Your own strategy, network or data source\n")[2].partition("\n## ")[0]
FILES = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", SECTION, re.DOTALL)
NAMED_FILE = re.compile(r"(?<![\w/.])(?:fer_experiments|conf|tests|\.github)/[\w/.-]*\w")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL) for line in block.splitlines()]
PREFIX = ["python", "-m", "fer_experiments"]


@pytest.fixture
def example(tmp_path):
    """A folder with the files of the section, and images for its data source."""
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    images = np.random.default_rng(0).integers(0, 256, (120, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "photos.npz", images=images, labels=np.repeat(["cat", "dog"], 60))
    return tmp_path


def run(line: str, where: Path, *more: str) -> Path:
    """Run a command of the section on tiny data, and return the folder of its run."""
    words = shlex.split(line)
    assert words[:3] == PREFIX
    faces = [] if "data=npz" in words else TINY_FACES
    done = command(*words[3:], "trainer=smoke", *faces, *TINY_NETWORKS, *more, where=where)
    assert done.returncode == 0, done.stderr
    (folder,) = where.glob("multirun/*/*")
    return folder


def test_there_is_an_example_of_each():
    assert [name for name, _ in FILES] == [
        "my_classes.py",
        "my/balance/thin.yaml",
        "my/classifier/small.yaml",
        "my/data/npz.yaml",
    ]
    assert len(COMMANDS) == 3


def test_a_users_own_strategy_is_an_arm_with_settings(example):
    record = StudyRecord.load(run(COMMANDS[0], example))
    images = {result.arm: sum(result.real.values()) for result in record.results}
    assert images["none"] > images["thin"] > images["thin [balance.kept_fraction=0.1]"]


def test_a_users_own_network_is_trained_and_predicts_only_if_it_is_named(example):
    folder = run(COMMANDS[1], example)
    assert "width: 64" in (folder / "config.yaml").read_text()
    write_images(example / "new", 3)
    arguments = [str(folder / "checkpoints" / "best.ckpt"), "new", "--format", "csv"]
    refused, trusted = (command(*arguments, *more, where=example, module="fer_experiments.predict")
                        for more in ([], ["--network", "my_classes.Small"]))  # fmt: skip
    assert (refused.returncode, trusted.returncode) == (2, 0), trusted.stderr
    assert len(trusted.stdout.splitlines()) == 4


def test_a_users_own_data_source_is_split_and_imbalanced(example):
    record = StudyRecord.load(run(COMMANDS[2], example, "train.arms=[none]"))
    fewer, more = sorted(record.results[0].real.values())
    assert fewer == round(more / 4)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_it(page):
    links = [link for link in re.findall(r"\]\(([^)\s#]+)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page):
    before_examples = page.read_text().partition("## How to add")[0]
    assert [name for name in NAMED_FILE.findall(before_examples) if not (ROOT / name).exists()] == []
