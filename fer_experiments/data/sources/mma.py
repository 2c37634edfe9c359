"""data=mma: MMA Facial Expression."""

from functools import cached_property
from pathlib import Path

from pydantic import model_validator

from fer_experiments.data.sources.folder import Folder
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import UserPath


class MMA(Folder):
    """MMA Facial Expression in its folders MMAFEDB/{train,valid,test}/CLASS; data.download gets it with kagglehub."""

    root: UserPath | None  # type: ignore[assignment]
    download: bool

    @model_validator(mode="after")
    def _check_root(self) -> "MMA":
        if self.root is None and not self.download:
            raise ValueError("root=null: give data.root=PATH/MMAFEDB, or data.download=true to get it from Kaggle")
        return self

    @cached_property
    def _downloaded(self) -> Path:
        try:
            import kagglehub
        except ImportError:
            raise ConfigError("data.download=true: needs kagglehub; run pip install 'fer-experiments[mma]'") from None
        try:
            return Path(kagglehub.dataset_download("mahmoudima/mma-facial-expression"))
        except Exception as error:  # the network, Kaggle and its login raise anything
            raise ConfigError(
                f"data.download=true: the download from Kaggle failed ({type(error).__name__}: {error}); try again, or "
                "download the data set yourself and give data.root=PATH/MMAFEDB"
            ) from error

    def _directory(self) -> Path:
        root = super()._directory() if self.root is not None else self._downloaded
        inner = root / "MMAFEDB"  # the top folder of the archive
        return inner if inner.is_dir() else root
