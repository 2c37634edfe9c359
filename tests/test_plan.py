"""The plan of a job, before it begins: images, trainings, time."""

import logging
import subprocess
import sys

import pytest
import torch

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.collect import collect
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.length import shorten
from fer_experiments.train.plan import make_plan, plan_study, step_seconds
from fer_experiments.train.plan.plan import Plan, PlannedTraining, format_rough_duration
from fer_experiments.train.run import run_job
from tests.conftest import TINY_FACES, TINY_NETWORKS, write_images

COUNTS = {"train": {"cat": 820, "dog": 12}, "valid": {"cat": 90, "dog": 2}, "test": {"cat": 1000, "dog": 5}}
GAN = PlannedTraining("GAN of dog", 64, 64, 3900, 500.0)


def plan(*trainings: PlannedTraining, **fields) -> Plan:
    return Plan(COUNTS, [GAN, *trainings], **fields)


def lines_of(plan: Plan) -> list[str]:
    return [*plan.outline(), *plan.estimates()]


def test_small_classes_are_marked():
    title, cat, dog = lines_of(plan())[:3]
    assert title.split() == ["class", "training", "validation", "test"]
    assert cat.split() == ["cat", "820", "90", "1,000"]
    assert dog.split()[:5] == ["dog", "12", "2", "5", "few:"]


def test_the_time_of_a_study_is_that_of_its_first_and_last_look():
    lines = lines_of(plan(looks=(3, 5, 20), speed_up=1.25, budget=1800.0))
    assert lines[-2] == "each seed trains: GAN of dog, 3,900 steps of 64 at 64 pixels"
    assert lines[-1] == (
        "estimated time: about 8 min a seed; 20 min for 3 seeds, 2 h 10 min for 20 seeds; "
        "no seed but the first may end after 30 min"
    )


def test_a_training_of_unknown_duration_leaves_out_the_time():
    unknown = PlannedTraining("classifier of none", 32, 16, 40, None)
    assert plan(unknown).seconds_of_seed is None
    assert not any("time" in line for line in lines_of(plan(unknown)))
    assert lines_of(plan())[-1] == "estimated time: about 8 min"


def test_a_training_of_too_few_steps_to_be_timed_counts_nothing():
    short = PlannedTraining("classifier of none", 32, 16, 4, None)
    assert plan(short).seconds_of_seed == 500.0
    assert Plan(COUNTS, [short]).seconds_of_seed is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (44, "40 s"), (89, "1 min 30 s"), (700, "12 min"), (5900, "1 h 40 min"), (14350, "4 h 0 min")],
)
def test_a_duration_has_as_many_digits_as_are_known(seconds, text):
    assert format_rough_duration(seconds) == text


@pytest.fixture
def timed(monkeypatch):
    """Let every training be timed, at 0.5 s a step; give what was asked for."""
    calls = []

    def measure(config, module, images):
        calls.append((type(module).__name__, images.image_size))
        return 0.5

    monkeypatch.setattr(make_plan, "MIN_STEPS", 1)
    monkeypatch.setattr(step_seconds, "measure_step_seconds", measure)
    return calls


TINY = ("trainer=smoke", *TINY_FACES, *TINY_NETWORKS)


def test_the_planned_steps_are_those_that_are_trained(run, read, timed, tmp_path):
    overrides = ("train.seeds=2", "train.arms=[none,dcgan]", f"data.cache_dir={tmp_path / 'cache'}")
    config = read(*TINY, *overrides)
    gan, classifiers = config.train.plan(config).timed().trainings
    record = StudyRecord.load(folder := run(*overrides))
    assert {result.optimizer_steps for result in record.results} == {classifiers.steps}
    assert Result.load(folder / "seed_0" / "gan").optimizer_steps == 2 * gan.steps  # of both networks
    assert (gan.is_gan, classifiers.is_gan) == (True, False)
    assert classifiers.name == "2 classifiers (none, dcgan)"


def test_what_was_timed_is_not_timed_again(read, timed, tmp_path):
    config = read(*TINY, "train.arms=[none,oversample,dcgan]", f"data.cache_dir={tmp_path / 'cache'}")
    first = config.train.plan(config).timed()
    assert sorted({name for name, _ in timed}) == ["Classifier", "DCGAN"]
    assert len(timed) == 2  # all arms share one duration
    assert config.train.plan(config).timed() == first
    assert len(timed) == 2
    (tmp_path / "cache" / step_seconds.FILE).write_text("[spoilt")
    assert config.train.plan(config).timed() == first
    assert len(timed) == 4


def test_another_network_is_timed_anew(read, timed, tmp_path):
    cache = f"data.cache_dir={tmp_path / 'cache'}"
    for width in (4, 8):
        config = read(*TINY, "train=dcgan", f"gan.width={width}", "gan.epochs=3", cache)
        config.train.plan(config).timed()
    config = read(*TINY, "train=dcgan", "gan.width=8", "gan.epochs=9", cache)  # as long a step
    config.train.plan(config).timed()
    assert len(timed) == 2


@pytest.mark.parametrize("job", ["train=study", "train=dcgan", "train=cnn"])
def test_what_is_trained_and_times_that_are_kept_are_known_without_lightning(job, tmp_path):
    script = f"""
import sys
from hydra import compose, initialize_config_dir
from fer_experiments.train.plan import make_plan, step_seconds
from fer_experiments.train.plan.plan import NotTimed
class Known(dict):
    def __contains__(self, key): return True
    def __missing__(self, key): return 0.5
from fer_experiments.strict_config import CONF_DIR
from fer_experiments.train.config import Config
from fer_experiments.train.settings import RunContext
with initialize_config_dir(str(CONF_DIR), version_base=None):
    composed = compose("config", ["{job}", *{[*TINY_FACES, *TINY_NETWORKS]!r}], return_hydra_config=True)
    choices = dict(composed.hydra.runtime.choices)
    del composed.hydra
    config = Config.read(composed, RunContext(choices))
    plan = config.train.plan(config)
    assert list(plan.outline())
    try:
        plan.timed(can_measure=False)
    except NotTimed:
        print("not timed")
    step_seconds._load = lambda cache: Known()
    make_plan.MIN_STEPS = 1
    assert "estimated time" in " ".join(plan.timed(can_measure=False).estimates())
print(sorted({{"lightning", "torchmetrics", "torchvision"}} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stderr


@pytest.mark.parametrize("overrides", [("train=cnn",), ("train=dcgan",), ("train=cnn", "balance=joint", "train=joint")])
def test_every_training_job_has_a_plan(read, timed, overrides):
    config = read(*TINY, *overrides)
    seconds = config.train.plan(config).timed().seconds_of_seed
    assert seconds is not None
    assert seconds > 0.5


def test_timing_steps_leaves_the_random_numbers_as_they_were(read, monkeypatch, tmp_path):
    monkeypatch.setattr(make_plan, "MIN_STEPS", 1)
    config = read(*TINY, "train.arms=[none,dcgan]", f"data.cache_dir={tmp_path / 'cache'}")
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert config.train.plan(config).timed().seconds_of_seed > 0
    assert torch.rand(1) == expected


def test_a_length_that_max_epochs_does_not_change_is_named(compose, tmp_path, caplog):
    keys = ("train=cnn", "classifier.epochs=3", "trainer.max_epochs=100", "plan_only=true")
    run_job(compose(*TINY[1:], *keys, folder=tmp_path))
    assert "trainer.max_epochs=100: only shortens trainings, and classifier.epochs has 3; set it as well" in caplog.text


def test_a_length_that_is_only_tried_is_not_warned_of(read, timed):
    config = read(*TINY[1:], *LONG, "train.budget=10h", "classifier.epochs=10000", "trainer.max_epochs=9000")
    plan = config.train.plan(config).timed()
    assert "train.length=" in plan.advice[0]
    assert plan.warnings() == []


def test_an_arm_for_which_real_images_are_missing_is_named_before_any_training(read):
    keys = ("trainer=smoke", *TINY_NETWORKS, "data=digits", "data.counts={3: 20, 8: 40}", "augment=none")
    for add, is_named in ((20, False), (4000, True)):
        config = read(*keys, f"train.arms=[none,'real_images [balance.add={add}]']")
        text = "real_images [balance.add=4000] will fail: balance=real_images: 4000 more images of 3 are needed"
        assert [caution.startswith(text) for caution in config.train.plan(config).warnings()] == [True] * is_named


@pytest.mark.parametrize(("add", "is_named"), [("0", False), ("{angry: 0}", True), ("{angry: 1}", False)])
def test_an_arm_that_adds_no_images_although_it_is_to_is_named(read, add, is_named):
    config = read(*TINY_FACES, *TINY_NETWORKS, f"train.arms=[none,'dcgan [balance.add={add}]']")
    names = [caution.split(" [")[0] for caution in config.train.plan(config).warnings() if "adds no images" in caution]
    assert names == ["dcgan"] * is_named


def test_a_conditional_gan_is_advised_where_it_is_faster(read, timed, tmp_path):
    faces = [text for text in TINY_FACES if not text.startswith("data.counts")]
    keys = ("data.classes=[angry,happy,sad,fear]", "data.counts={angry: 12, sad: 12, fear: 12, happy: 20}")
    config = read("trainer=smoke", *faces, *TINY_NETWORKS, *keys, "train.arms=[none,dcgan]", "trainer.max_epochs=50")
    (advice,) = config.train.plan(config).timed().advice
    assert advice.startswith("gan=conditional trains one GAN instead of 3, in about ")


LONG = (
    *("trainer=auto", "gan.images_seen=300000", "classifier.epochs=40", "train.seeds=auto", "train.workers=1"),
    "train.arms=[none,oversample,dcgan]",
)


def test_a_length_is_advised_with_which_the_first_look_fits_the_budget(read, timed):
    config = read(*TINY[1:], *LONG, "train.budget=90min")
    plan = config.train.plan(config).timed()
    assert plan.advice == ("3 seeds take longer than train.budget=1 h 30 min; train.length=0.16 fits",)
    assert plan.length == 1
    shorter = read(*TINY[1:], *LONG, "train.budget=90min", "train.length=0.16")
    plan = shorter.train.plan(shorter).timed()
    assert 5400 * 2 / 3 < plan.seconds_for(3) <= 5400
    assert (plan.length, plan.advice, plan.shortened) == (0.16, (), "")


def test_trainings_are_shortened_alike_until_the_first_look_fits_the_budget(read, timed):
    full = read(*TINY[1:], *LONG, "train.budget=10h", "train.length=auto")
    full_plan = full.train.plan(full).timed()
    assert (full_plan.length, full_plan.shortened) == (1, "")
    config = read(*TINY[1:], *LONG, "train.budget=90min", "train.length=auto")
    plan = config.train.plan(config).timed()
    assert plan.length == 0.16
    for shorter, longer in zip(plan.trainings, full_plan.trainings, strict=True):
        assert shorter.steps == pytest.approx(0.16 * longer.steps, rel=0.1)
    assert 5400 * 2 / 3 < plan.seconds_for(3) <= 5400
    lines = [*plan.estimates()]
    assert lines[0] == "shortened: 3 seeds take longer than train.budget=1 h 30 min; train.length=0.16 fits"
    assert f"GAN of angry, {plan.trainings[0].steps:,} steps" in lines[1]
    assert plan.advice == ()


def test_an_arms_own_generator_is_shortened_as_the_others_are(read, timed):
    arms = "train.arms=[none,dcgan,'dcgan [gan.images_seen=9600]',diffusion]"
    keys = (*TINY[1:], *LONG[:-1], arms)
    (full, half) = (read(*keys, f"train.length={length}") for length in (1, 0.5))
    for longer, shorter in zip(full.train.plan(full).trainings, half.train.plan(half).trainings, strict=True):
        assert shorter.steps == pytest.approx(longer.steps / 2, abs=2)


def test_a_training_that_is_shortened_by_a_decimal_share_has_as_many_epochs(read):
    config = read(*TINY, "train.arms=[none]", "classifier.epochs=30")
    shorter, _ = shorten(config, [], 0.1)
    assert shorter.classifier.epochs == 3


@pytest.mark.parametrize("length", ["1", "auto"])
def test_a_gan_that_is_shortened_below_the_steps_that_it_needs_is_warned_of(read, timed, length):
    config = read(*TINY[1:], *LONG, "gan.images_seen=20000", "train.budget=24min", f"train.length={length}")
    plan = config.train.plan(config).timed()
    assert next(line for line in plan.estimates() if "train.length=" in line).endswith(
        "train.length=0.5 fits, but a GAN of 625 steps makes poor images (it needs 1,000 or more): smaller sizes or "
        "fewer arms are better"
    )


def test_the_shortest_length_may_take_the_whole_budget(read, timed):
    keys = (*TINY[1:], *LONG, "train.length=auto")
    shortest = read(*TINY[1:], *LONG, "train.budget=10h", "train.length=0.12")
    seconds = shortest.train.plan(shortest).timed().seconds_for(3)
    config = read(*keys, f"train.budget={seconds * 1.02:.0f}s")
    assert config.train.plan(config).timed().length == 0.12
    config = read(*keys, f"train.budget={seconds * 0.9:.0f}s")
    assert config.train.plan(config).timed().length == 1


def test_a_budget_that_no_length_fits_is_said_to_be_too_small(read, timed):
    config = read(*TINY[1:], *LONG, "train.budget=90s", "train.length=auto")
    plan = config.train.plan(config).timed()
    assert plan.length == 1
    assert plan.advice == (
        "3 seeds take longer than train.budget=2 min, also with train.length=0.12, and fewer seeds decide little; give "
        "a larger one, fewer arms, or smaller gan.image_size and classifier.image_size",
    )


def test_what_can_not_be_timed_is_not_shortened(read):
    config = read(*TINY, "train.arms=[none,dcgan]", "train.seeds=auto", "train.budget=1s", "train.length=auto")
    plan = config.train.plan(config).timed()
    assert (plan.length, plan.advice) == (1, (plan_study.UNKNOWN_TIME,))


@pytest.mark.parametrize(("workers", "threads"), [(1, 1), (2, 3)])
def test_steps_are_timed_with_the_threads_that_a_training_will_have(
    read, timed, monkeypatch, tmp_path, workers, threads
):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    used = []
    monkeypatch.setattr(step_seconds, "measure_step_seconds", lambda *_: used.append(torch.get_num_threads()) or 0.5)
    config = read(*TINY, "train.arms=[none]", "train.seeds=3", f"train.workers={workers}", f"data.cache_dir={tmp_path}")
    plan = config.train.plan(config).timed()
    assert used == [threads]
    assert torch.get_num_threads() == 1
    assert plan.speed_up == (1 if workers == 1 else 1.6)


@pytest.mark.usefixtures("blank_figures")
def test_a_shortened_study_continues_with_the_length_with_which_it_began(run, read, timed):
    keys = ("trainer=auto", "gan.epochs=16", "classifier.epochs=16", "train.seeds=auto", "train.length=auto")
    arms = ("train.arms=[none,oversample,dcgan]", "train.max_seeds=2", "train.workers=1")
    folder = run(*keys, *arms, "train.budget=70s")
    record = StudyRecord.load(folder)
    assert record.growth.length < 1
    (steps,) = {result.optimizer_steps for result in record.results}
    assert "of its configured length (train.length)" in (folder / "report.html").read_text()
    config = read(*TINY, *keys, *arms, "train.budget=10h")
    assert config.train.plan(config, folder).trainings[-1].steps == steps
    run(*keys, *arms, "train.budget=10h", folder=folder)
    again = StudyRecord.load(folder)
    assert again.growth.length == record.growth.length
    assert {result.optimizer_steps for result in again.results} == {steps}
    assert len(again.seeds) == 2
    full = run(*keys[:3], *arms, "train.seeds=1", folder=folder.parent / "full")
    joined = collect([folder, full])
    assert [problem for problem in joined.problems if "of its configured length (train.length)" in problem]


@pytest.mark.parametrize("keys", [["train.seeds=3"], ["train.seeds=auto", "train.budget=null"]])
def test_only_a_budget_shortens_trainings(run, keys):
    with pytest.raises(ConfigError, match=r"train\.length=auto: shortens trainings to fit train\.budget; give one"):
        run(*keys, "train.length=auto")


@pytest.mark.parametrize("earlier", [[], ["report.html"]])
def test_a_plan_leaves_no_log_and_no_empty_folder(compose, tmp_path, monkeypatch, earlier):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in earlier:
        (folder / name).touch()
    handler = logging.FileHandler(folder / "study.log", delay=True)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    run_job(compose(*TINY, "train.seeds=1", "plan_only=true", folder=folder))
    assert handler not in logging.getLogger().handlers
    assert [path.name for path in folder.glob("*")] == earlier
    assert folder.exists() == bool(earlier)


def test_plan_only_trains_nothing(compose, tmp_path, caplog):
    caplog.set_level("INFO")
    run_job(compose(*TINY, "train.seeds=1", "plan_only=true", folder=tmp_path))
    assert "each seed trains" in caplog.text or "to train: " in caplog.text
    assert not (tmp_path / "status.json").exists()
    assert not [*tmp_path.glob("seed_*")]


@pytest.mark.parametrize(
    ("side", "balance", "advice"),
    [
        (28, "dcgan", "gan.image_size=32 classifier.image_size=32"),
        (28, "oversample", "classifier.image_size=32"),
        (48, "dcgan", "classifier.image_size=48"),
        (64, "dcgan", None),
    ],
)
def test_sizes_to_which_images_are_enlarged_are_named(read, tmp_path, side, balance, advice):
    for seed, name in enumerate(("cat", "dog")):
        write_images(tmp_path / "pets" / name, 20 + 9 * seed, (side, side), seed=seed)
    config = read("data=folder", f"data.root={tmp_path / 'pets'}", "train=cnn", f"balance={balance}", "trainer=smoke")
    share = f"{max(side, 32) ** 2 / 64**2:.0%}"
    expected = f"the images have {side} pixels and are enlarged; with {advice} a step takes about {share} of the time"
    assert config.train.plan(config).timed().advice == (() if advice is None else (expected,))
