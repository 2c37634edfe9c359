"""A browser shows names that come from files as text and runs none of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fer_experiments import report
from tests.conftest import write_images

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without <script>, which can't be closed, since a name has no slash, and would hide the others from the browser.
HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "<svg onload=document.title='owned'>",
    '"><img src=x onerror=document.title="owned">',
    "a' onmouseover='document.title=1",
    "&lt;b&gt;",
]


def dump_page(path) -> str:
    """Return the document as HTML, after scripts have run."""
    line = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
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
    unlocked = re.sub(r'<meta http-equiv="Content-Security-Policy".*>', "", written)
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
    (policy,) = re.findall('<meta http-equiv="Content-Security-Policy".*>', source)
    (tmp_path / "page.html").write_text(f"{policy}<title>mine</title>{HOSTILE[0]}")
    assert "<title>mine" in dump_page(tmp_path / "page.html")
