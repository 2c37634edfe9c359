"""The README's examples of own code, run as they stand there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fer_experiments.report.study import StudyRecord
from tests.conftest import TINY_FACES, TINY_NETWORKS, write_images
from tests.test_cli import command

README = Path(__file__).parent.parent / "README.md"
SECTION = README.read_text().partition("## Your own strategy, network or data source\n")[2].partition("\n## ")[0]
FILES = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", SECTION, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL) for line in block.splitlines()]
PREFIX = ["python", "-m", "fer_experiments"]


@pytest.fixture
def mine(tmp_path):
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    images = np.random.default_rng(0).integers(0, 256, (120, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "photos.npz", images=images, labels=np.repeat(["cat", "dog"], 60))
    return tmp_path


def run(line: str, where: Path, *more: str) -> Path:
    words = shlex.split(line)
    assert words[:3] == PREFIX
    faces = [] if "data=npz" in words else TINY_FACES
    done = command(*words[3:], "trainer=smoke", *faces, *TINY_NETWORKS, *more, where=where)
    assert done.returncode == 0, done.stderr
    (folder,) = where.glob("multirun/*/*")
    return folder


def test_there_is_an_example_of_each():
    assert [name for name, _ in FILES] == [
        "mine.py",
        "my/balance/thin.yaml",
        "my/classifier/small.yaml",
        "my/data/npz.yaml",
    ]
    assert len(COMMANDS) == 3


def test_an_own_strategy_is_an_arm_with_settings(mine):
    record = StudyRecord.load(run(COMMANDS[0], mine))
    images = {result.arm: sum(result.real.values()) for result in record.results}
    assert images["none"] > images["thin"] > images["thin [balance.share=0.1]"]


def test_an_own_network_is_trained_and_predicts_where_it_is_named(mine):
    folder = run(COMMANDS[1], mine)
    assert "width: 64" in (folder / "config.yaml").read_text()
    write_images(mine / "new", 3)
    words = [str(folder / "checkpoints" / "best.ckpt"), "new", "--format", "csv"]
    refused, trusted = (command(*words, *more, where=mine, module="fer_experiments.predict")
                        for more in ([], ["--network", "mine.Small"]))  # fmt: skip
    assert (refused.returncode, trusted.returncode) == (2, 0), trusted.stderr
    assert len(trusted.stdout.splitlines()) == 4


def test_an_own_data_source_is_split_and_imbalanced(mine):
    record = StudyRecord.load(run(COMMANDS[2], mine, "train.arms=[none]"))
    fewer, more = sorted(record.results[0].real.values())
    assert fewer == round(more / 4)
