"""The key data.group_column of sources that are tables."""

from abc import abstractmethod
from collections.abc import Sequence

from pydantic import model_validator

from fer_experiments.data.sources.base import DataSource


class GroupColumnSource(DataSource):
    """A source with a column that is the same for images that belong together, as those of one person.

    group_column: its name; None: the groups are those of group_pattern, or there are none.
    """

    group_column: str | None

    @model_validator(mode="after")
    def _check_group_keys(self) -> "GroupColumnSource":
        if None not in (self.group_column, self.group_pattern):
            raise ValueError(
                f"group_column={self.group_column}: data.group_pattern={self.group_pattern} names groups as well; set "
                "one of them to null"
            )
        return self

    @property
    def group_key(self) -> str | None:
        return super().group_key if self.group_column is None else f"group_column={self.group_column}"

    def groups(self, paths: Sequence[str]) -> list[str]:
        if self.group_column is None:
            return super().groups(paths)
        return ["" if value is None or value != value else str(value).strip() for value in self.read_groups(paths)]

    @abstractmethod
    def read_groups(self, paths: Sequence[str]) -> list[object]:
        """Return what group_column has for each image. Raises ConfigError if there is no such column."""
