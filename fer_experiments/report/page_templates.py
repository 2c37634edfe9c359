"""The templates of report.html, and how a page is written."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from fer_experiments.atomic_write import atomic_write

REPORT_FILE = "report.html"
_ENVIRONMENT = Environment(
    loader=PackageLoader("fer_experiments", "report/templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def load_template(name: str) -> Template:
    """Load a file of report/templates/."""
    return _ENVIRONMENT.get_template(name)


def write_html(page: str, folder: Path) -> None:
    """Write a page to report.html in the folder."""
    # A class can be named by bytes that are not valid text; such a name can't be written as it is.
    with atomic_write(folder / REPORT_FILE) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))
