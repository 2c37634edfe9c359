"""What a browser makes of the pages: names that come from files are text, and TensorBoard finds what it shows."""

import shutil
import subprocess

import pytest

from tests.conftest import write_images

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "<svg onload=document.title='owned'>",
    '"><script>document.title="owned"<!--',
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
    folder = run("data=folder", f"data.root={tmp_path}/odd", "train.arms=[none,oversample]")
    written, shown = (folder / "report.html").read_text(), page_as_shown(folder / "report.html")
    assert "<title>owned" not in shown
    (title,) = [line for line in written.splitlines() if "<title>" in line]
    assert title.strip() in shown  # so that the browser has read it, and no script has changed it
    for name in HOSTILE:
        assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in shown


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_browser_would_show_it(tmp_path):
    (tmp_path / "page.html").write_text(f"<title>mine</title>{HOSTILE[0]}")
    assert "<title>owned" in page_as_shown(tmp_path / "page.html")
