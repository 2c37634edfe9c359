"""What a browser makes of a report: names that come from files are text."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fer_experiments import report
from tests.conftest import write_images

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = [  # no <script>: unclosed, as a name has no slash, it would hide the others from the browser
    "<img src=x onerror=document.title='owned'>",
    "<svg onload=document.title='owned'>",
    '"><img src=x onerror=document.title="owned">',
    "a' onmouseover='document.title=1",
    "&lt;b&gt;",
]


def page_as_shown(path) -> str:
    """The document after scripts have run, as HTML."""
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
    assert unlocked != written  # without the policy escaping has to hold alone
    (folder / "unlocked.html").write_text(unlocked)
    for page in ("report.html", "unlocked.html"):
        shown = page_as_shown(folder / page)
        assert title.strip() in shown  # so that the browser has read it, and no script has changed it
        for name in HOSTILE:
            assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in shown


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_browser_would_show_it(tmp_path):
    (tmp_path / "page.html").write_text(f"<title>mine</title>{HOSTILE[0]}")
    assert "<title>owned" in page_as_shown(tmp_path / "page.html")


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_policy_of_the_report_stops_scripts(tmp_path):
    source = (Path(report.__file__).parent / "page.html.j2").read_text()
    (policy,) = re.findall('<meta http-equiv="Content-Security-Policy".*>', source)
    (tmp_path / "page.html").write_text(f"{policy}<title>mine</title>{HOSTILE[0]}")
    assert "<title>mine" in page_as_shown(tmp_path / "page.html")
