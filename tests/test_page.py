"""The page shows what a study left, and survives what is missing or broken."""

import base64
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from fer_experiments import report
from fer_experiments.evaluation.question import Question
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.page import SECTIONS, write_page
from fer_experiments.report.sections.answer import describe_answer
from fer_experiments.report.sections.plain_answer import describe_plainly
from fer_experiments.report.study_record import StudyRecord
from tests.results import build_result, build_study, write_gan, write_study

AUDIT = {"label": "angry", "generated": 5, "synthetic": "images"}


def render(record: StudyRecord, folder: Path) -> str:
    write_page(record, compute_findings(record, folder), folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def svgs(page: str) -> str:
    encoded = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    return "\n".join(base64.b64decode(text).decode() for text in encoded)


def test_every_template_is_in_the_list_of_sections():
    templates = {file.name for file in (Path(report.__file__).parent / "templates").iterdir()}
    of_sections = templates - {"page.html.j2", "evaluation.html.j2", "macros.html.j2", "style.css"}
    assert {section.template for section in SECTIONS} == of_sections
    assert len({section.anchor for section in SECTIONS}) == len(SECTIONS)


def test_page_needs_no_other_file_and_opens_with_the_answer(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    write_gan(tmp_path / "seed_0" / "gan", [5])
    (tmp_path / "config.yaml").write_text("seed: 4711\n")
    (tmp_path / "data.json").write_text('{"classes": ["angry"], "images": {"train": {"angry": 123}}, "files": 456}')
    page = render(record, tmp_path)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([^;]*);', page)) == {"data:image/svg+xml", "data:image/jpeg"}
    lines = html.unescape(re.sub(r"<[^>]*>", "", page.split("<main>")[1])).split("\n")
    first, second, *_ = [line.strip() for line in lines if line.strip()]
    findings = compute_findings(record, tmp_path)
    assert first == describe_plainly(record, findings) != ""
    assert second == describe_answer(record, findings)
    for text in (
        "Verdicts",
        "Can the answer be believed",
        "Training curves",
        "Confusion on test images",
        "epoch 5",
        "seed: 4711",
        "123",
        "456",
        "split0",
    ):
        assert text in page


def test_page_shows_near_duplicates_and_nearest_images_if_there_are_any(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    write_gan(tmp_path / "seed_0" / "gan", [5])
    (tmp_path / "data.json").write_text("{}")
    titles = "Near-duplicates across parts", "Generated images and their nearest training images"
    assert not any(title in render(record, tmp_path) for title in titles)
    for place in (tmp_path / "near_duplicates.png", tmp_path / "seed_0" / "gan" / "nearest.png"):
        Image.new("RGB", (8, 8)).save(place)
    assert all(title in render(record, tmp_path) for title in titles)


def test_page_says_what_the_leak_is_worth(tmp_path):
    names = {"none": 0.7, "dcgan": 0.72, "none@leak": 0.75, "dcgan@leak": 0.9}
    page = render(write_study(tmp_path, {arm: {0: score} for arm, score in names.items()}, [0]), tmp_path)
    assert "What a leak would have shown" in page
    assert "the leak is worth +13.0 points here" in page


def test_page_says_what_is_missing(tmp_path):
    page = render(build_study({"none": {0: 0.7}}, [0]), tmp_path)
    assert "there is no data.json" in page
    assert 'id="gan"' not in page
    assert "Configuration" not in page
    (tmp_path / "data.json").write_text('{"classes": [')
    assert "data.json can&#39;t be read" in render(build_study({"none": {}}, [0]), tmp_path)


def test_page_of_a_study_that_failed_says_why(tmp_path):
    page = render(build_study({"none": {}, "dcgan": {}}, [0], {"seed 0, none": "OSError: <b>full</b>"}), tmp_path)
    assert "OSError: &lt;b&gt;full&lt;/b&gt;" in page
    assert "not run yet" in page


def test_no_name_can_become_markup(tmp_path):
    evil = '" onload="alert(1)"><script>alert(1)</script>'
    record = StudyRecord(arms=[evil], seeds=[0], results=[build_result(evil, 0, 0.7, (evil, "\udcff+é"), device=evil)])
    record.failed = {evil: evil}
    (tmp_path / "config.yaml").write_text(f"</pre>{evil}")
    page = render(record, tmp_path)
    names = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: names.update([tag, *dict(attributes)])  # type: ignore[method-assign]
    parser.feed(page)
    assert {"table", "class"} <= names
    assert "script" not in names
    assert not [name for name in names if name.startswith("on")]  # an attribute that runs something
    assert "<script" not in svgs(page)
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_is_written_without_torch():
    check = "import sys, fer_experiments.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_audits_of_each_class_and_the_alarms_of_the_training_are_shown(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    folder = tmp_path / "seed_0" / "gan"
    write_gan(folder, [1])
    for label, value in (("<angry>", 0.25), ("happy", 0.5)):
        (folder / label).mkdir()
        (folder / label / "audit.json").write_text(
            json.dumps(AUDIT | {"label": label, "headline": {"coverage": value}})
        )
    (folder / "health.json").write_text('{"alarms": [{"name": "too few steps", "message": "60 <batches>"}]}')
    page = render(record, tmp_path)
    for text in ("of &lt;angry&gt;", "of happy", "0.25", "0.5", "too few steps: 60 &lt;batches&gt;"):
        assert text in page


def test_an_old_result_without_the_study_s_metric_has_no_dot(tmp_path):
    record = build_study({"none": {0: 0.7}}, [0])
    record.question = Question(metric="macro_f1")
    assert record.scores("none") == {}
    assert "Macro F1 is measured on test images" in render(record, tmp_path)


@pytest.mark.parametrize(("limit", "is_stamped"), [("2", True), ("null", False)])
def test_a_smoke_run_is_stamped(tmp_path, limit, is_stamped):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    (tmp_path / "config.yaml").write_text(f"trainer:\n  limit_batches: {limit}\n")
    assert ("SMOKE RUN" in render(record, tmp_path)) == is_stamped


def test_warnings_take_one_line_until_they_are_unfolded(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    header = render(record, tmp_path).partition("</header>")[0]
    summary = re.search(r'<details class="cautions">\s*<summary>(.*?)</summary>', header)
    assert summary is not None
    assert "enough seeds" in summary[1]
    assert header.count("<details") == 1


def test_every_number_of_a_stacked_table_has_its_title(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    page = render(record, tmp_path)
    for section in ("verdicts", "results"):
        table = page.partition(f'<section id="{section}">')[2].partition("</table>")[0]
        cells = re.findall(r"<td[^>]*>", table)
        assert cells
        assert all("data-title=" in cell for cell in cells)
