"""The page of results: what its first sentence claims, and that it shows what is there and survives what is not."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from fer_experiments.evaluation.result import Result
from fer_experiments.report import figures
from fer_experiments.report.answer import headline
from fer_experiments.report.page import (
    GRIDS_SHOWN,
    arm_curves,
    cautions,
    confusions,
    duration,
    findings,
    gans,
    unfinished,
    write_page,
)
from fer_experiments.report.study import StudyRecord

HISTORY = [
    {"epoch": 1.0, "train/loss": 0.7, "train/accuracy": 0.5, "valid/loss": 0.6, "valid/accuracy": 0.6},
    {"epoch": 2.0, "train/loss": 0.5, "train/accuracy": 0.7, "valid/loss": 0.5, "valid/accuracy": 0.8},
]


def finished(arm: str, seed: int, score: float, classes: tuple[str, ...] = ("angry", "happy"), **changes) -> Result:
    """A result on 20 test images, with generated images where the arm's name has dcgan in it."""
    test = {
        "accuracy": score,
        "balanced_accuracy": score,
        "loss": 0.4,
        "recall": dict.fromkeys(classes, score),
        "confusion": [[8, 2], [3, 7]],
        "images": 20,
    }
    fields = {
        "job": "cnn",
        "arm": arm,
        "seed": seed,
        "classes": list(classes),
        "real": {classes[0]: 5, classes[1]: 10},
        "generated": {classes[0]: 5} if "dcgan" in arm else {},
        "repeated": {},
        "optimizer_steps": 4,
        "selected_epoch": 2,
        "metrics": {"test": test},
        "history": HISTORY,
        "split_hash": f"split{seed}",
        "seconds": 1.0,
        "device": "cpu",
        "precision": "fp32",
        "versions": {},
    }
    return Result(**(fields | changes))


def study(scores: dict[str, dict[int, float]], seeds: list[int], failed: dict[str, str] | None = None) -> StudyRecord:
    """scores: {arm: {seed: balanced accuracy}} of what has finished."""
    results = [finished(arm, seed, score) for arm, found in scores.items() for seed, score in found.items()]
    return StudyRecord(arms=list(scores), seeds=seeds, results=results, failed=failed or {}, versions={"python": "3"})


def write_gan(folder: Path, epochs: list[int]) -> None:
    (folder / "samples").mkdir(parents=True)
    for epoch in epochs:
        Image.new("RGB", (16, 16), "gray").save(folder / "samples" / f"epoch_{epoch:04d}.png")
    row = {"gan/loss_discriminator": 1.0, "gan/loss_generator": 1.0, "gan/score_real": 0.6, "gan/score_generated": 0.4}
    gan = finished("gan", 0, 0.0, job="dcgan", real={"angry": 5}, generated={"angry": 5}, metrics={})
    gan.model_copy(update={"history": [{"step": 2.0, "epoch": 1.0, **row}]}).save(folder)


def rendered(record: StudyRecord, folder: Path) -> str:
    write_page(record, folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def svgs(page: str) -> str:
    found = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    return "\n".join(base64.b64decode(text).decode() for text in found)


# ---- the first sentence


def test_one_seed_is_undecided_and_names_the_best_arm_of_each_kind():
    scores = {"none": {0: 0.7}, "oversample": {0: 0.849}, "dcgan": {0: 0.8}, "dcgan+traditional": {0: 0.851}}
    assert headline(study(scores, [0])) == (
        "One seed: dcgan+traditional reached 85.1 % balanced accuracy, the best simple arm (oversample) 84.9 %: "
        "undecided."
    )


def test_several_seeds_give_mean_and_range_and_no_verdict():
    said = headline(study({"none": {0: 0.7, 1: 0.8}, "dcgan": {0: 0.8, 1: 0.9}}, [0, 1]))
    assert said == (
        "2 seeds: dcgan reached 85.0 % balanced accuracy on average (80.0 to 90.0 %), the best simple arm (none) "
        "75.0 % (70.0 to 80.0 %); whether the difference is more than chance is not tested."
    )
    assert not re.search("helps|hurts|better|worse|significant|equivalent", said)


def test_arms_are_compared_on_the_seeds_that_both_finished():
    scores = {"none": {0: 0.7, 1: 0.8, 2: 0.2}, "dcgan": {0: 0.8, 1: 0.9}}
    assert headline(study(scores, [0, 1, 2])).startswith("2 of 3 seeds: dcgan reached 85.0 %")
    assert "the best simple arm (none) 75.0 %" in headline(study(scores, [0, 1, 2]))


def test_the_first_of_several_seeds_is_undecided_still():
    said = headline(study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0, 1, 2]))
    assert said.startswith("One of 3 seeds: ")
    assert said.endswith(": undecided.")


def test_arms_without_a_seed_in_common_are_not_compared():
    said = headline(study({"none": {0: 0.7}, "dcgan": {1: 0.8}}, [0, 1]))
    assert said == "Undecided: dcgan and the best simple arm (none) have no finished seed in common."


def test_without_generated_images_there_is_no_answer():
    said = headline(study({"none": {0: 0.7}, "oversample": {0: 0.8}}, [0]))
    assert said == (
        "No answer: no finished arm used generated images; the best simple arm (oversample) reached 80.0 % "
        "balanced accuracy."
    )


def test_a_gan_arm_that_was_given_no_images_is_no_generated_arm():
    record = study({"none": {0: 0.7}}, [0])
    record.arms.append("dcgan")
    record.results.append(finished("dcgan", 0, 0.9, generated={"angry": 0}))
    assert headline(record).startswith("No answer: no finished arm used generated images;")


def test_a_failed_arm_is_named_where_it_leaves_no_answer():
    failed = study({"none": {0: 0.7}, "dcgan": {}}, [0], {"seed 0, dcgan": "NonFiniteError: NaN"})
    assert "used generated images (failed: dcgan); the best" in headline(failed)
    alone = study({"none": {}, "dcgan": {0: 0.8}}, [0], {"seed 0, none": "OSError: full"})
    assert headline(alone) == (
        "Undecided: dcgan reached 80.0 % balanced accuracy, but no simple arm finished beside it (failed: none)."
    )


def test_a_study_without_results_has_no_answer():
    assert headline(study({"none": {}, "dcgan": {}}, [0])) == "No answer: no training has finished."
    failed = {"seed 0, none": "x", "seed 0, dcgan": "x"}
    assert headline(study({"none": {}, "dcgan": {}}, [0], failed)) == "No answer: every training failed."
    failed = {"seed 0, none": "x"}
    assert headline(study({"none": {}, "dcgan": {}}, [0], failed)) == "No answer: no training has finished."


# ---- what a reader must know


def test_cautions_tell_of_unequal_steps_different_splits_and_few_test_images():
    record = study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    facts = {"images": {"test": {"angry": 10, "happy": 10}}}
    assert cautions(record, facts) == []
    record.results[1] = finished("dcgan", 0, 0.8, optimizer_steps=9, split_hash="another")
    steps, splits, few = cautions(record, {"images": {"test": {"angry": 40, "happy": 40}}})
    assert "between 4 and 9 optimizer steps" in steps
    assert "seed 0 saw different splits" in splits
    assert "20 of the 80 test images" in few


def test_every_training_without_a_result_is_listed_with_why():
    record = study({"none": {0: 0.7}, "dcgan": {}}, [0, 1], {"seed 0, dcgan": "OSError: full"})
    assert unfinished(record) == [
        ("seed 0, dcgan", "OSError: full"),
        ("seed 1, none", "not run yet"),
        ("seed 1, dcgan", "not run yet"),
    ]
    assert cautions(record, {})[0].startswith("3 of 4 trainings")


def test_findings_leave_out_what_is_not_recorded():
    assert findings({}) == []
    assert findings({"corrupt": [], "dropped_as_duplicates_of_a_more_protected_part": {"train": 2}}) == [
        ("files that can't be read", "0"),
        ("train images dropped because a later part holds the same", "2"),
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7320, "2 h 2 min")]
)
def test_duration_reads_like_speech(seconds, said):
    assert duration(seconds) == said


# ---- figures


def test_dot_plot_has_a_dot_for_each_seed_and_the_mean():
    axes = figures.dot_plot({"none": [0.5, 0.7], "dcgan": [0.9], "lost": []}, ["dcgan"], "score").axes[0]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [2, 1]
    assert [text.get_text() for text in axes.texts] == ["60.0%", "90.0%", "no result"]
    assert axes.yaxis_inverted()  # the first arm on top


def test_curves_show_every_seed_and_their_mean():
    other = [{"epoch": 1.0, "train/loss": 0.9}, {"epoch": 2.0, "train/loss": 0.7}]
    axes = figures.curves([HISTORY, other], {"train/loss": "training"}).axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.7, 0.5], [0.9, 0.7], pytest.approx([0.8, 0.6])]


def test_limits_hold_every_finite_value():
    low, high = figures.limits([HISTORY, [{"train/loss": float("nan")}]], ["train/loss", "valid/loss"])
    assert low < 0.5 < 0.7 < high
    assert figures.limits([[{"train/loss": float("inf")}]], ["train/loss"]) is None


def test_an_arm_without_epochs_has_no_curves():
    record = study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    record.results[1] = finished("dcgan", 0, 0.8, history=[])
    assert [arm for arm, _ in arm_curves(record)] == ["none"]


def test_confusion_is_summed_over_seeds():
    (picture,) = confusions(study({"none": {0: 0.7, 1: 0.7}, "dcgan": {}}, [0, 1]))
    assert "[[16, 4], [6, 14]]" in picture.alt


@pytest.mark.parametrize("name", [r"$\nonsense{$", "a$b", "\udcff", "\x00", "怒り", "<script>"])
def test_any_class_name_can_be_drawn(name):
    assert b"<script" not in figures.svg(figures.confusion_matrix([[1, 0], [0, 1]], [name, "happy"]))


def test_the_same_figure_gives_the_same_bytes():
    first, second = (figures.svg(figures.confusion_matrix([[1, 0], [0, 1]], ["a", "b"])) for _ in range(2))
    assert first == second


# ---- the GAN


def test_grids_are_those_of_the_first_seed_in_order_of_epochs(tmp_path):
    write_gan(tmp_path / "seed_7" / "gan", [10000, 1, 25])
    write_gan(tmp_path / "seed_8" / "gan", [3])
    (gan,) = gans(study({"dcgan": {}}, [7, 8]), tmp_path)
    assert gan.folder == "seed_7/gan"
    assert [grid.caption for grid in gan.grids] == ["epoch 1", "epoch 25", "epoch 10000"]
    assert [curve.caption for curve in gan.curves] == ["loss", "discriminator's score: 1 is real"]


def test_each_class_has_its_gan(tmp_path):
    for label in ("angry", "sad"):
        write_gan(tmp_path / "seed_0" / "gan" / label, [1])
    assert [gan.folder for gan in gans(study({"dcgan": {}}, [0]), tmp_path)] == ["seed_0/gan/angry", "seed_0/gan/sad"]


def test_of_many_grids_some_are_shown_with_the_first_and_the_last(tmp_path):
    write_gan(tmp_path / "seed_0" / "gan", list(range(1, 41)))
    (gan,) = gans(study({"dcgan": {}}, [0]), tmp_path)
    captions = [grid.caption for grid in gan.grids]
    assert (len(captions), captions[0], captions[-1], gan.grids_found) == (GRIDS_SHOWN, "epoch 1", "epoch 40", 40)


def test_a_gan_that_was_cut_short_shows_what_it_left(tmp_path):
    write_gan(tmp_path / "seed_0" / "gan", [1, 2])
    (tmp_path / "seed_0" / "gan" / "samples" / "epoch_0002.png").write_bytes(b"\x89PNG cut")
    (tmp_path / "seed_0" / "gan" / "result.json").unlink()
    (gan,) = gans(study({"dcgan": {}}, [0]), tmp_path)
    assert [grid.caption for grid in gan.grids] == ["epoch 1"]
    assert gan.curves == []
    assert "result.json" in gan.problem


# ---- the page


def test_page_needs_no_other_file_and_opens_with_the_answer(tmp_path):
    record = study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    write_gan(tmp_path / "seed_0" / "gan", [5])
    (tmp_path / "config.yaml").write_text("seed: 4711\n")
    (tmp_path / "data.json").write_text('{"classes": ["angry"], "images": {"train": {"angry": 123}}, "files": 456}')
    page = rendered(record, tmp_path)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([^;]*);', page)) == {"data:image/svg+xml", "data:image/jpeg"}
    first = re.sub(r"<[^>]*>", "", page.split("<main>")[1]).strip().splitlines()[0]
    assert first.replace("\xa0", " ") == headline(record)
    for shown in ("Training curves", "Confusion on test images", "epoch 5", "seed: 4711", "123", "456", "split0"):
        assert shown in page


def test_page_says_what_is_missing(tmp_path):
    page = rendered(study({"none": {0: 0.7}}, [0]), tmp_path)
    assert "there is no data.json" in page
    assert 'id="gan"' not in page
    assert "Configuration" not in page
    (tmp_path / "data.json").write_text('{"classes": [')
    assert "data.json can&#39;t be read" in rendered(study({"none": {}}, [0]), tmp_path)


def test_page_of_a_study_that_failed_tells_why(tmp_path):
    page = rendered(study({"none": {}, "dcgan": {}}, [0], {"seed 0, none": "OSError: <b>full</b>"}), tmp_path)
    assert "OSError: &lt;b&gt;full&lt;/b&gt;" in page
    assert "not run yet" in page


def test_no_name_can_become_markup(tmp_path):
    evil = '"><script>alert(1)</script>'
    record = StudyRecord(arms=[evil], seeds=[0], results=[finished(evil, 0, 0.7, (evil, "\udcff+é"), device=evil)])
    record.failed = {evil: evil}
    (tmp_path / "config.yaml").write_text(f"</pre>{evil}")
    page = rendered(record, tmp_path)
    tags = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.add(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert "table" in tags
    assert "script" not in tags
    assert "<script" not in svgs(page)
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_is_written_without_torch():
    check = "import sys, fer_experiments.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
