"""The README and the pages: examples of classes of a user's own run as printed, commands compose, links lead."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override

from fer_experiments.completed_overrides import complete_overrides
from fer_experiments.conf_files import read_experiment
from fer_experiments.override_keys import explain_wrong_overrides
from fer_experiments.override_paths import quote_paths
from fer_experiments.report.study_record import StudyRecord
from tests.conftest import TINY_FACES, TINY_NETWORKS, write_images
from tests.test_cli import command

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob(".github/**/*.md"))]
EXTENDING, GENERATORS = ((ROOT / ".github" / "docs" / f"{name}.md").read_text() for name in ("extending", "generators"))
FILES = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", EXTENDING + GENERATORS, re.DOTALL)
NAMED_FILE = re.compile(r"(?<![\w/.])(?:fer_experiments|conf|tests|\.github)/[\w/.-]*\w")
BASH = re.compile(r"```bash\n(.*?)```", re.DOTALL)
COMMANDS = [line for block in BASH.findall(EXTENDING) for line in block.splitlines()]
OF_GENERATOR = [line for block in BASH.findall(GENERATORS) for line in block.splitlines() if "--config-dir my" in line]
PREFIX = ["python", "-m", "fer_experiments"]
MAX_LINES, MAX_WIDTH = 250, 120
# A part of a word in quotes, or a character that bash or zsh would expand or take for a pattern.
QUOTED_OR_SPECIAL = re.compile(r"""'[^']*'|"(?:\\.|[^"])*"|\\.|#[^\n]*|([\[\]{}*?])""", re.DOTALL)


@pytest.fixture
def example(tmp_path):
    """A folder with the files of extending.md and generators.md, and images for its data source."""
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    images = np.random.default_rng(0).integers(0, 256, (120, 32, 32, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    np.save(tmp_path / "photos" / "images.npy", images)
    np.save(tmp_path / "photos" / "labels.npy", np.repeat(["cat", "dog"], 60))
    return tmp_path


def run(line: str, where: Path, *more: str) -> Path:
    """Run a command of extending.md on tiny data, and return the folder of its run."""
    words = shlex.split(line)
    assert words[:3] == PREFIX
    faces = [] if "data=npy" in words else TINY_FACES
    networks = [text for text in TINY_NETWORKS if not ("gan=vae" in words and text.startswith("gan.width"))]
    done = command(*words[3:], "trainer=smoke", *faces, *networks, *more, where=where)
    assert done.returncode == 0, done.stderr
    (folder,) = where.glob("multirun/*/*")
    return folder


def test_there_is_an_example_of_each():
    assert [name for name, _ in FILES] == [
        "my_classes.py",
        "my/balance/thin.yaml",
        "my/classifier/small.yaml",
        "my/data/npy.yaml",
        "my_generators.py",
        "my/gan/vae.yaml",
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


def test_a_users_own_generator_makes_images_and_is_an_arm(example):
    folder = run(OF_GENERATOR[0], example)
    assert "latent_dim: 16" in (folder / "config.yaml").read_text()
    assert [*folder.glob("synthetic/*/*.png")]
    shutil.rmtree(example / "multirun")
    record = StudyRecord.load(run(OF_GENERATOR[1], example, "train.seeds=1"))
    assert record.failed == {}
    assert record.arms[-1] == "dcgan [balance.gan=vae]"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_it(page):
    links = [link for link in re.findall(r"\]\(([^)\s#]+)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page):
    before_examples = page.read_text().partition("## How to add")[0]
    assert [name for name in NAMED_FILE.findall(before_examples) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_leads_to_it(page):
    links = re.findall(r"\]\(([^)\s#]*)#([^)\s]+)\)", page.read_text())
    targets = [(page.parent / name if name else page, anchor) for name, anchor in links if "://" not in name]
    assert [anchor for target, anchor in targets if anchor not in list_anchors(target)] == []


def list_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short_and_narrow():
    lines = README.read_text().splitlines()
    assert len(lines) <= MAX_LINES
    assert [line for line in lines if len(line) > MAX_WIDTH] == []


def list_commands(page: Path) -> list[list[str]]:
    """Return the words of each command of this program in the page's bash blocks and in its code within lines."""
    text = page.read_text()
    inline = re.findall(r"`(python -m fer_experiments [^`]*)`", re.sub("```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in BASH.findall(text) for line in split_commands(block)]
    commands = [shlex.split(line, comments=True) for line in [*lines, *inline]]
    return [words for command_words in commands for words in find_overrides(command_words)]


def split_commands(block: str) -> Iterator[str]:
    """Give each command of a bash block; one may go on in the next line, after a backslash or within quotes."""
    command = ""
    for line in block.splitlines():
        command += line
        if command.endswith("\\"):
            command = command.removesuffix("\\")
            continue
        try:
            shlex.split(command, comments=True)
        except ValueError:  # a quotation goes on
            command += "\n"
            continue
        yield from re.split(r"&&|\|\|", command)
        command = ""
    assert not command, f"unfinished: {command}"


def find_overrides(words: list[str]) -> Iterator[list[str]]:
    """Give what follows `python -m fer_experiments` or fer-experiments in a command; other commands have nothing."""
    for place, word in enumerate(words):
        if word.endswith("python") and words[place + 1 : place + 3] == PREFIX[1:]:
            yield words[place + 3 :]
        elif word == "fer-experiments":
            yield words[place + 1 :]


def expand_sweep(overrides: list[Override]) -> Iterator[list[str]]:
    """Give lists of overrides in which each value of each choice, and an end of each interval, occurs once or more."""
    values = [list_values(override) for override in overrides]
    for place in range(max(map(len, values), default=1)):
        yield [each[min(place, len(each) - 1)] for each in values]


def list_values(override: Override) -> list[str]:
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep):
        return [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]
    if isinstance(sweep, IntervalSweep):
        return [f"{override.key_or_group}={sweep.start}"]
    return [str(override.input_line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_composes_and_is_valid(page, read, monkeypatch, tmp_path):
    for name, value in {"is_available": True, "device_count": 8, "is_bf16_supported": True}.items():
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *_, value=value, **__: value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multirun" / "RUN" / "checkpoints").mkdir(parents=True)
    for name in ("GENERATED", "A", "B"):  # folders of balance.synthetic
        (tmp_path / name).mkdir()
    (tmp_path / "multirun" / "RUN" / "checkpoints" / "last.ckpt").touch()  # which must exist as gan.pretrained
    for words in list_commands(page):
        if any(word.startswith("--") or word == "-sc" for word in words) or "hydra/launcher=ray_gpus" in words:
            continue  # run by the tests above, or answered by Hydra; Ray need not be installed
        is_left_out = re.compile(r"-m|\.\.\.|classifier\.network\.weights=.*")  # of a file that the reader makes
        typed = list(quote_paths([word for word in words if not is_left_out.fullmatch(word)]))
        overrides = list(complete_overrides(typed))
        assert list(explain_wrong_overrides(overrides)) == [], words
        parsed = OverridesParser.create().parse_overrides(overrides)
        experiment = next((word.partition("=")[2] for word in overrides if word.startswith("experiment=")), "quick")
        is_sweep = "-m" in words or ("hydra", "mode") in read_experiment(experiment).files
        assert is_sweep or not any(override.is_sweep_override() for override in parsed), f"needs -m: {words}"
        for job in expand_sweep(parsed):
            config = read(*job)
            config.train.check(config)
            config.train.check_with_torch(config)
            assert HydraConfig.get().runtime.choices.experiment == experiment


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_shell_expands_what_belongs_to_the_program(page):
    lines = [line for block in BASH.findall(page.read_text()) for line in split_commands(block)]
    commands = [line for line in lines if list(find_overrides(shlex.split(line, comments=True)))]
    unquoted = [line for line in commands if any(match[1] for match in QUOTED_OR_SPECIAL.finditer(line))]
    assert unquoted == []
