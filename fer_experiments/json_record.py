"""The base of the records that runs leave as JSON: result.json, status.json, study.json, sweep.json, audit.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from fer_experiments.atomic_write import atomic_write

if TYPE_CHECKING:
    from typing_extensions import Self


class JSONRecord(BaseModel):
    """A record with typed fields that is saved as `file_name` in a folder. Unknown fields are errors.

    description: how an error calls what the file should have been: "a result".
    """

    model_config = ConfigDict(extra="forbid")

    file_name: ClassVar[str]
    description: ClassVar[str]

    def save(self, folder: Path) -> None:
        """Write the record into the folder, which is created if it does not exist. Raises StorageError."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / self.file_name) as temporary:
            # Not in pydantic's JSON mode, which rejects keys that are not valid Unicode, such as names of classes.
            temporary.write_text(json.dumps(self.model_dump(), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the record from the folder. Raises ValueError, which names the file, if it is missing or invalid."""
        path = folder / cls.file_name
        try:
            # Parsed by json, because pydantic's own parser rejects file names that are not valid Unicode.
            return cls.model_validate(json.loads(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: is not {cls.description}: {error}") from None

    @classmethod
    def load_or_none(cls, folder: Path) -> Self | None:
        """Read the record from the folder; None if it is missing or invalid."""
        try:
            return cls.load(folder)
        except ValueError:
            return None
