"""Lightning's loggers for Weights & Biases and MLflow, whose runs are continued when a training is."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import MLFlowLogger, WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from fer_experiments.atomic_write import atomic_write

REMOTE_SCHEMES = ("http://", "https://", "databricks")  # of MLflow's stores; the others are files and databases

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class ResumableWandbLogger(WandbLogger):
    """Continue the W&B run whose id is in the folder of a training, or keep the id of a new run there."""

    def __init__(self, folder: str, **arguments: Any) -> None:
        """Take WandbLogger's arguments, and the folder of the training, in which its files are written."""
        self._file = Path(folder, "wandb_run_id.txt")
        run_id = _read(self._file) or uuid.uuid4().hex[:8]
        super().__init__(id=run_id, resume="allow", save_dir=folder, **arguments)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if not self._file.is_file():
            _write(self._file, str(self.version))
        return super().experiment


class ResumableMLFlowLogger(MLFlowLogger):
    """Continue the MLflow run whose id is in the folder of a training, or keep the id of a new run there."""

    def __init__(
        self,
        folder: str,
        tags: Mapping[str, str | list[str]] | None = None,
        artifact_location: str | None = None,
        **arguments: Any,
    ) -> None:
        """Take the folder of the training and MLFlowLogger's arguments.

        Args:
            folder: of the training.
            tags: {tag: its words}.
            artifact_location: where pictures are written; a server is given no folder of this machine.
            arguments: MLFlowLogger's others.
        """
        self._file = Path(folder, "mlflow_run_id.txt")
        texts = {name: words if isinstance(words, str) else ", ".join(words) for name, words in (tags or {}).items()}
        if str(arguments.get("tracking_uri")).startswith(REMOTE_SCHEMES) and "://" not in str(artifact_location):
            artifact_location = None
        super().__init__(run_id=_read(self._file), tags=texts, artifact_location=artifact_location, **arguments)

    @property
    @rank_zero_experiment
    def experiment(self) -> "MlflowClient":
        from mlflow.exceptions import MlflowException

        try:
            client = super().experiment  # creates the experiment and the run
        except MlflowException:  # another process has created the experiment at the same time
            client = super().experiment
        if not self._file.is_file():
            _write(self._file, str(self._run_id))
        return client


def _read(file: Path) -> str | None:
    return file.read_text() if file.is_file() else None


@rank_zero_only
def _write(file: Path, run_id: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as temporary:
        temporary.write_text(run_id)
