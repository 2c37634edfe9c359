"""A browser shows names that come from files as text, runs none of them, and has room for every table."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fer_experiments import report
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.page import write_page
from tests.conftest import write_images
from tests.results import write_study

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without <script>, which can't be closed, since a name has no slash, and would hide the others from the browser.
HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "<svg onload=document.title='owned'>",
    '"><img src=x onerror=document.title="owned">',
    "a' onmouseover='document.title=1",
    "&lt;b&gt;",
]


# Sets the title to the first words of everything that is wider than its place.
MEASURE = """<script>addEventListener("load", () => {
    const isWide = e => e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1;
    const wide = [...document.querySelectorAll("*")].filter(e => isWide(e) && getComputedStyle(e).display != "inline");
    document.title = "too wide: " + wide.map(e => e.tagName + " " + e.textContent.trim().slice(0, 40)).join("; ") + ".";
})</script>"""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy".*>')
LONG_ARM = "dcgan+traditional [balance.gan=conditional, balance.inject=symmetric]"


def dump_page(path) -> str:
    """Return the document as HTML, after scripts have run."""
    line = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"]
    line += ["--virtual-time-budget=3000", "--dump-dom"]
    return subprocess.run([*line, path.as_uri()], capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_hostile_names_are_text_in_the_report(run, tmp_path):
    for seed, name in enumerate(HOSTILE):
        write_images(tmp_path / "odd" / name, 8, seed=seed)
        (tmp_path / "odd" / name / "000.png").rename(tmp_path / "odd" / name / f"{name}.png")
        (tmp_path / "odd" / name / f"{name}.jpg").write_text("no image")
    folder = run(
        *("data=folder", f"data.root={tmp_path}/odd", "data.skip_corrupt=true", "train.arms=[none,oversample]")
    )
    written = (folder / "report.html").read_text()
    (title,) = [line for line in written.splitlines() if "<title>" in line]
    unlocked = POLICY.sub("", written)
    assert unlocked != written  # without the policy, escaping alone must suffice
    (folder / "unlocked.html").write_text(unlocked)
    for page in ("report.html", "unlocked.html"):
        html = dump_page(folder / page)
        assert title.strip() in html  # the browser has read the page, and no script has changed it
        for name in HOSTILE:
            assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in html


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_browser_runs_a_hostile_name_that_is_not_escaped(tmp_path):
    (tmp_path / "page.html").write_text(f"<title>mine</title>{HOSTILE[0]}")
    assert "<title>owned" in dump_page(tmp_path / "page.html")


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_policy_of_the_report_stops_scripts(tmp_path):
    source = (Path(report.__file__).parent / "templates" / "page.html.j2").read_text()
    (policy,) = POLICY.findall(source)
    (tmp_path / "page.html").write_text(f"{policy}<title>mine</title>{HOSTILE[0]}")
    assert "<title>mine" in dump_page(tmp_path / "page.html")


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("count", [2, 7])
def test_nothing_is_wider_than_a_laptop(tmp_path, count):
    arms = ["none+traditional", "oversample+traditional", LONG_ARM]
    scores = {arm: {seed: 0.5 + 0.1 * seed for seed in range(3)} for arm in arms}
    record = write_study(tmp_path, scores, [0, 1, 2])
    if count > 2:
        classes = tuple(f"emotion_{number}" for number in range(count))
        test = {"recall": dict.fromkeys(classes, 0.5), "confusion": np.eye(count, dtype=int).tolist()}
        for result in record.results:
            result.metrics["test"] |= test
        changes = {"classes": list(classes), "real": dict.fromkeys(classes, 10), "generated": {classes[0]: 900}}
        record.results = [result.model_copy(update=changes) for result in record.results]
    write_page(record, compute_findings(record, tmp_path), tmp_path, tmp_path, ())
    page = tmp_path / "report.html"
    unlocked = POLICY.sub("", page.read_text())
    page.write_text(unlocked.replace("</body>", MEASURE + "</body>"))
    assert "<title>too wide: .</title>" in dump_page(page)
