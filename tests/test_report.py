"""The page of results: what its first sentence claims, and that it shows what is there and survives what is not."""

import base64
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from fer_experiments.evaluation.calibration import Bin
from fer_experiments.evaluation.verdict import Question
from fer_experiments.report import figures
from fer_experiments.report.answer import headline, scores
from fer_experiments.report.calibration import reliabilities
from fer_experiments.report.gans import GRIDS_SHOWN, alarms_of, gans
from fer_experiments.report.page import arm_curves, confusions, describe_facts, dots, duration, read_facts, write_page
from fer_experiments.report.study import StudyRecord, comparison, summary
from fer_experiments.report.verdicts import find_verdicts
from tests.results import HISTORY, finished, study, write_gan, written


def rendered(record: StudyRecord, folder: Path) -> str:
    write_page(record, find_verdicts(record, folder), folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def svgs(page: str) -> str:
    found = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    return "\n".join(base64.b64decode(text).decode() for text in found)


def test_facts_leave_out_what_is_not_recorded():
    assert describe_facts({}) == []
    assert describe_facts({"corrupt": [], "dropped_as_duplicates_of_a_more_protected_part": {"train": 2}}) == [
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
    axes = figures.dot_plot({"none": [0.5, 0.7], "dcgan": [0.9], "lost": []}, ["dcgan"], "score", {}).axes[0]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [2, 1]
    assert [text.get_text() for text in axes.texts] == ["60.0%", "90.0%", "no result"]
    assert axes.yaxis_inverted()  # the first arm on top


def test_dot_plot_has_a_line_for_each_interval():
    axes = figures.dot_plot({"none": [0.5, 0.7], "dcgan": [0.9, 0.8]}, [], "score", {"none": (0.4, 0.8)}).axes[0]
    assert [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 5] == [[0.4, 0.8]]


def test_difference_plot_has_an_interval_for_each_pair_and_a_band_of_the_margin():
    rows = {"dcgan − none": (-3.0, -5.0, -1.0, "hurts"), "oversample − none": (0.1, -0.2, 0.4, "equivalent")}
    axes = figures.difference_plot(rows, 0.5, "points").axes[0]
    assert [list(line.get_xdata()) for line in axes.lines[1:]] == [[-5.0, -1.0], [-0.2, 0.4]]
    assert [text.get_text() for text in axes.texts] == ["-3.0  hurts", "+0.1  equivalent"]
    assert (axes.patches[0].get_x(), axes.patches[0].get_width()) == (-0.5, 1.0)
    assert axes.yaxis_inverted()


def test_figures_are_narrow_enough_for_a_phone():
    """360 pixels wide, text of 10 points is 10 pixels high or little less."""
    name = "dcgan+traditional − none+traditional"
    plots = (
        figures.difference_plot({name: (0.0, -1.0, 1.0, "equivalent")}, 0.5, "points"),
        figures.dot_plot({"none": [0.5]}, [], "score", {}),
    )
    assert all(figure.get_figwidth() <= 5 for figure in plots)
    assert plots[0].axes[0].get_yticklabels()[0].get_text() == "dcgan+traditional\n− none+traditional"


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


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_dots_are_the_study_s_metric_with_its_intervals(tmp_path, metric, monkeypatch):
    record = written(tmp_path, {"none": {0: 0.7, 1: 0.8}, "dcgan": {0: 0.8}}, [0, 1])
    record.question = Question(metric=metric)
    for result in record.results:
        result.metrics["test"] |= {"accuracy": 0.1, "balanced_accuracy": 0.2, "macro_f1": 0.3, metric: 0.6}
    drawn = []
    monkeypatch.setattr(figures, "dot_plot", lambda *given: drawn.append(given) or figures.Figure())
    shown = dots(record, find_verdicts(record, tmp_path))
    (values, _, label, intervals), name = drawn[0], metric.replace("_", " ")
    assert values == {"none": [0.6, 0.6], "dcgan": [0.6]}
    assert (label, set(intervals)) == (f"{name} on test", {"none", "dcgan"})
    assert shown.alt == f"Mean {name} on test: none 60.0 %, dcgan 60.0 %"


def test_an_old_result_without_the_study_s_metric_has_no_dot(tmp_path):
    record = study({"none": {0: 0.7}}, [0])
    record.question = Question(metric="macro_f1")
    assert scores(record, "none") == {}
    assert "Macro F1 is measured on test images" in rendered(record, tmp_path)


def test_confusion_is_summed_over_seeds():
    (picture,) = confusions(study({"none": {0: 0.7, 1: 0.7}, "dcgan": {}}, [0, 1]))
    assert "[[16, 4], [6, 14]]" in picture.alt


@pytest.mark.parametrize("name", [r"$\nonsense{$", "a$b", "\udcff", "\x00", "怒り", "<script>"])
def test_any_class_name_can_be_drawn(name):
    assert b"<script" not in figures.svg(figures.confusion_matrix([[1, 0], [0, 1]], [name, "happy"]))


def test_reliability_has_a_bar_for_each_bin_with_images():
    bins = [Bin(0, None, None), Bin(2, 0.4, 0.5), Bin(4, 0.9, 0.75)]
    bars = figures.reliability_diagram(bins).axes[0].patches
    assert [(round(bar.get_x() + bar.get_width() / 2, 3), bar.get_height()) for bar in bars] == [
        (0.5, 0.5), (0.833, 0.75)
    ]  # fmt: skip
    assert bars[0].get_alpha() < bars[1].get_alpha() == 1


def test_reliability_of_an_arm_is_of_all_its_seeds(tmp_path):
    record = written(tmp_path, {"none": {0: 0.7, 1: 0.8}, "dcgan": {0: 0.8}}, [0, 1])
    assert [picture.caption.split(": ")[0] for picture in reliabilities(record, tmp_path)] == ["none", "dcgan"]
    assert reliabilities(record, tmp_path)[0].caption.endswith(", 2 seeds together")
    (tmp_path / "seed_1" / "none" / "predictions.npz").write_bytes(b"")
    assert reliabilities(record, tmp_path)[0].caption.endswith(", 1 seed")
    assert reliabilities(record, tmp_path / "elsewhere") == []


# ---- the tables


def test_metrics_that_a_result_lacks_are_empty_cells():
    record = study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    more = {"macro_f1": 0.65, "auroc": 0.9, "ece": 0.1, "recall": {"angry": None, "happy": 0.8},
            "precision": {"angry": None, "happy": 0.5}}  # fmt: skip
    record.results[1].metrics["test"].update(more)
    table = comparison(record).set_index("arm")
    assert table.loc["none", ["macro_f1", "auroc", "ece", "precision_happy"]].isna().all()
    assert table.loc["dcgan", ["macro_f1", "auroc", "ece", "precision_happy"]].tolist() == [0.65, 0.9, 0.1, 0.5]
    assert math.isnan(table.loc["dcgan", "recall_angry"])
    shown = summary(record).set_index("arm")[["macro F1", "AUROC", "ECE", "recall angry", "recall happy"]]
    assert shown.loc["none"].tolist() == ["", "", "", "70.00%", "70.00%"]
    assert shown.loc["dcgan"].tolist() == ["65.00%", "0.9000", "0.1000", "", "80.00%"]


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
    record = written(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    write_gan(tmp_path / "seed_0" / "gan", [5])
    (tmp_path / "config.yaml").write_text("seed: 4711\n")
    (tmp_path / "data.json").write_text('{"classes": ["angry"], "images": {"train": {"angry": 123}}, "files": 456}')
    page = rendered(record, tmp_path)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([^;]*);', page)) == {"data:image/svg+xml", "data:image/jpeg"}
    first = re.sub(r"<[^>]*>", "", page.split("<main>")[1]).strip().splitlines()[0]
    assert first.replace("\xa0", " ") == headline(record, find_verdicts(record, tmp_path))
    for shown in (
        "Verdicts",
        "Can it be believed",
        "Training curves",
        "Confusion on test images",
        "epoch 5",
        "seed: 4711",
        "123",
        "456",
        "split0",
    ):
        assert shown in page


def test_page_shows_near_duplicates_and_nearest_images_where_there_are_some(tmp_path):
    record = written(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    write_gan(tmp_path / "seed_0" / "gan", [5])
    (tmp_path / "data.json").write_text("{}")
    titles = "Near-duplicates across parts", "Generated images and their nearest training images"
    assert not any(title in rendered(record, tmp_path) for title in titles)
    for place in (tmp_path / "near_duplicates.png", tmp_path / "seed_0" / "gan" / "nearest.png"):
        Image.new("RGB", (8, 8)).save(place)
    assert all(title in rendered(record, tmp_path) for title in titles)


def test_page_tells_what_the_leak_is_worth(tmp_path):
    names = {"none": 0.7, "dcgan": 0.72, "none@leak": 0.75, "dcgan@leak": 0.9}
    page = rendered(written(tmp_path, {arm: {0: score} for arm, score in names.items()}, [0]), tmp_path)
    assert "What a leak would have shown" in page
    assert "the leak is worth +13.0 points here" in page


def test_page_says_what_is_missing(tmp_path):
    page = rendered(study({"none": {0: 0.7}}, [0]), tmp_path)
    assert "there is no data.json" in page
    assert 'id="gan"' not in page
    assert "Configuration" not in page
    (tmp_path / "data.json").write_text('{"classes": [')
    assert "data.json can&#39;t be read" in rendered(study({"none": {}}, [0]), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        '{"images": 3}',
        '{"images": {"test": {"angry": "many"}}}',
        '{"corrupt": ["a.png"]}',
        '{"near_duplicates": {}}',
        '{"near_duplicates": {"pairs": 1, "test_images": null}}',
    ],
)
def test_facts_that_hold_something_else_can_t_be_read(tmp_path, content):
    (tmp_path / "data.json").write_text(content)
    facts, problem = read_facts(tmp_path / "data.json")
    assert facts == {}
    assert problem.startswith("data.json can't be read: ")


def test_page_of_a_study_that_failed_tells_why(tmp_path):
    page = rendered(study({"none": {}, "dcgan": {}}, [0], {"seed 0, none": "OSError: <b>full</b>"}), tmp_path)
    assert "OSError: &lt;b&gt;full&lt;/b&gt;" in page
    assert "not run yet" in page


def test_no_name_can_become_markup(tmp_path):
    evil = '" onload="alert(1)"><script>alert(1)</script>'
    record = StudyRecord(arms=[evil], seeds=[0], results=[finished(evil, 0, 0.7, (evil, "\udcff+é"), device=evil)])
    record.failed = {evil: evil}
    (tmp_path / "config.yaml").write_text(f"</pre>{evil}")
    page = rendered(record, tmp_path)
    found = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.update([tag, *dict(attributes)])  # type: ignore[method-assign]
    parser.feed(page)
    assert {"table", "class"} <= found
    assert "script" not in found
    assert not [name for name in found if name.startswith("on")]  # an attribute that runs something
    assert "<script" not in svgs(page)
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_is_written_without_torch():
    check = "import sys, fer_experiments.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize(
    ("content", "shown"), [('{"kid": 0.0123, "ct": null, "recall": "x"}', True), ("[]", False), ("{", False)]
)
def test_the_measures_of_a_gans_images_are_a_table(tmp_path, content, shown):
    write_gan(tmp_path / "seed_0" / "gan", [1])
    (tmp_path / "seed_0" / "gan" / "audit.json").write_text(content)
    (found,) = gans(study({"dcgan": {0: 0.8}}, [0]), tmp_path)
    assert found.audits[0].numbers == ([("KID against held-out images", "0.0123")] if shown else [])


def test_the_audits_of_each_class_and_the_alarms_of_the_training_are_shown(tmp_path):
    record = written(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    here = tmp_path / "seed_0" / "gan"
    write_gan(here, [1])
    for label, value in (("<angry>", 0.25), ("happy", 0.5)):
        (here / label).mkdir()
        (here / label / "audit.json").write_text(json.dumps({"class": label, "coverage": value}))
    (here / "health.json").write_text('{"alarms": [{"name": "too few steps", "message": "60 <batches>"}]}')
    page = rendered(record, tmp_path)
    for shown in ("of &lt;angry&gt;", "of happy", "0.25", "0.5", "too few steps: 60 &lt;batches&gt;"):
        assert shown in page


@pytest.mark.parametrize("content", ["[]", "{", '{"alarms": 3}', '{"alarms": [3]}'])
def test_a_health_file_of_another_kind_raises_no_alarm(tmp_path, content):
    (tmp_path / "health.json").write_text(content)
    assert alarms_of(tmp_path) == []
