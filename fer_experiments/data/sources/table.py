"""data=table: a CSV file that lists images with their classes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fer_experiments.data.decode import open_image
from fer_experiments.data.dicom import check_pydicom
from fer_experiments.data.sources.base import file_state
from fer_experiments.data.sources.folder import PART_NAMES
from fer_experiments.data.sources.group_column import GroupColumnSource
from fer_experiments.data.warn_once import warn_once
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import UserPath

if TYPE_CHECKING:
    import pandas as pd

MAX_LISTED = 3  # images or rows in a message


class Table(GroupColumnSource):
    """The images that a CSV file with a header lists: a column of paths, one of classes, and optionally one of parts.

    Attributes:
        table: the CSV file, of UTF-8 with commas.
        path_column: its paths, relative to `root` or absolute.
        label_column: its class names.
        part_column: its parts, named as data=folder's folders of parts; None: every image is of train.
        root: the folder of the images; None: that of the table.
    """

    table: UserPath
    path_column: str
    label_column: str
    part_column: str | None
    root: UserPath | None

    def read_groups(self, paths: Sequence[str]) -> list[object]:
        table = self._read()
        groups = dict(zip(table[self.path_column], table[self.group_column], strict=True))
        return [groups[path] for path in paths]

    def items(self) -> "pd.DataFrame":
        import pandas as pd

        table = self._read()
        paths, labels = table[self.path_column], table[self.label_column]
        self._check_values("path_column", paths, (path != "" for path in paths), "give a path")
        is_name = (label == label.strip() != "" and label[0] != "." and "/" not in label for label in labels)
        remedy = "give a class name without /, without . at its start and without blanks around it"
        self._check_values("label_column", labels, is_name, remedy)
        self._check_unique(list(paths))
        self._check_exist(list(paths))
        check_pydicom(list(paths), f"data.table={self.table}")
        return pd.DataFrame({"path": paths, "label": labels, "part": self._parts(table)})

    def open(self, path: str) -> Image.Image:
        return open_image(self._directory / path)

    def state(self, items: "pd.DataFrame") -> list[str]:
        folder = self._directory.resolve()  # different files may have equal relative paths, sizes and times
        return [f"{folder} {file_state(folder / path)}" for path in items["path"]]

    @property
    def _directory(self) -> Path:
        return self.table.parent if self.root is None else self.root

    def _read(self) -> "pd.DataFrame":
        """Return the table's cells as text. Raises ConfigError if it lacks a column or rows, or can't be read."""
        import pandas as pd

        import fer_experiments.pandas_strings  # noqa: F401 - before any table of names

        if not self.table.is_file():
            raise ConfigError(f"data.table={self.table}: is not a file (looked in {Path.cwd()}); give a CSV file")
        try:  # utf-8-sig leaves out the mark that Excel writes first
            table = pd.read_csv(self.table, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")
        except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
            raise ConfigError(
                f"data.table={self.table}: can't be read as CSV: {error}; save it with commas between the cells, in "
                "UTF-8"
            ) from None
        for key in ("path_column", "label_column", "part_column", "group_column"):
            column = getattr(self, key)
            if column is not None and column not in table.columns:
                remedy = "; save it with commas between the cells" if len(table.columns) == 1 else ""
                raise ConfigError(
                    f"data.{key}={column}: {self.table} has no such column; it has "
                    f"{', '.join(map(str, table.columns))}{remedy}"
                )
        if table.empty:
            raise ConfigError(f"data.table={self.table}: has no rows")
        return table

    def _parts(self, table: "pd.DataFrame") -> list[str]:
        """Return the part of each row. Raises ConfigError for a name that is no part's."""
        if self.part_column is None:
            self._warn_of_part_columns(table)
            return ["train"] * len(table)
        parts = [PART_NAMES.get(name.strip().lower(), "") for name in table[self.part_column]]
        allowed = f"allowed are {', '.join(PART_NAMES)}; or leave out data.part_column"
        self._check_values("part_column", table[self.part_column], (part != "" for part in parts), allowed)
        return parts

    def _warn_of_part_columns(self, table: "pd.DataFrame") -> None:
        """Warn of a column that has nothing but names of parts, and is not used."""
        for column in table.columns:
            parts = {PART_NAMES.get(name.strip().lower()) for name in table[column]}
            if len(parts) > 1 and None not in parts and column != self.label_column:
                warn_once(
                    f"data.part_column=null: the column {column} of {self.table} has names of parts and is not used; "
                    f"if it says which images are test images, set data.part_column={column}"
                )

    def _check_values(self, key: str, values: "pd.Series[str]", is_allowed: Iterable[bool], remedy: str) -> None:
        """Raise ConfigError, which names the first row that is not allowed, counted as in a spreadsheet."""
        rows = [row for row, allowed in enumerate(is_allowed) if not allowed]
        if rows:
            more = f" and {len(rows) - 1} more rows" if len(rows) > 1 else ""
            where = f"data.{key}={getattr(self, key)}: row {rows[0] + 2} of {self.table}"
            raise ConfigError(f"{where} has {values.iloc[rows[0]]!r}{more}; {remedy}")

    def _check_unique(self, paths: list[str]) -> None:
        repeated = [path for path, count in Counter(paths).items() if count > 1]
        if repeated:
            raise ConfigError(
                f"data.table={self.table}: lists images more than once ({len(repeated)} of them), such as "
                f"{_name_first(repeated)}; give each image one row"
            )

    def _check_exist(self, paths: list[str]) -> None:
        """Raise ConfigError if images are missing; data.skip_corrupt leaves out some of them, but not all."""
        missing = [path for path in paths if not (self._directory / path).exists()]
        if missing and not (self.skip_corrupt and len(missing) < len(paths)):
            leave_out = "" if len(missing) == len(paths) else ", or leave them out with data.skip_corrupt=true"
            raise ConfigError(
                f"data.table={self.table}: {len(missing)} of {len(paths)} images are missing, such as "
                f"{_name_first(missing)} (looked in {self._directory}); give the folder to which the paths are "
                f"relative as data.root=FOLDER{leave_out}"
            )


def _name_first(paths: list[str]) -> str:
    return ", ".join(paths[:MAX_LISTED])
