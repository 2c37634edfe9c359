"""What the loggers of Weights & Biases and MLflow need beside their keys: a package, a login, a server that answers."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger, WandbLogger

from fer_experiments.distributed import on_rank_zero
from fer_experiments.environment import environment_variable
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import locate_target
from fer_experiments.trainer.loggers.resumable import REMOTE_SCHEMES

OFFLINE_MODES = ("offline", "dryrun", "disabled")  # of W&B


@on_rank_zero
def check_services(nodes: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ConfigError unless every logger of W&B can log in, and the server of every logger of MLflow answers.

    On a terminal W&B asks for its key. nodes: {name: a `_target_` and its arguments}.
    """
    checks = {WandbLogger: _check_wandb, MLFlowLogger: _check_mlflow}
    for name, node in nodes.items():
        target = locate_target(f"logger.{name}._target_", node["_target_"])
        for logger, check in checks.items():
            if isinstance(target, type) and issubclass(target, logger):
                check(f"logger.{name}", node)


def _check_wandb(key: str, node: Mapping[str, Any]) -> None:
    try:
        import wandb
    except ImportError:
        raise ConfigError(f"{key}: needs wandb; run pip install 'fer-experiments[wandb]'") from None
    if node.get("offline") or (node.get("mode") or wandb.setup().settings.mode) in OFFLINE_MODES:
        return
    try:
        wandb.login(verify=True)
    except wandb.Error as error:
        raise ConfigError(
            f"{key}: no login at Weights & Biases ({_first_line(error).rstrip('.')}); run wandb login, or write its "
            f"files into the run's folder alone with {key}.offline=true or WANDB_MODE=offline; wandb sync sends them "
            "later"
        ) from None


def _check_mlflow(key: str, node: Mapping[str, Any]) -> None:
    try:
        from mlflow import MlflowClient, MlflowException
    except ImportError:
        raise ConfigError(f"{key}: needs mlflow; run pip install 'fer-experiments[mlflow]'") from None
    address = str(node.get("tracking_uri"))
    if not address.startswith(REMOTE_SCHEMES):
        return
    try:
        with environment_variable("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"):  # its seven take four minutes
            MlflowClient(tracking_uri=address).search_experiments(max_results=1)
    except MlflowException as error:
        raise ConfigError(
            f"{key}.tracking_uri={address}: does not answer ({_first_line(_root_cause(error))}); start mlflow "
            "server, give the address of one that runs, or a file, such as "
            f"{key}.tracking_uri=sqlite:///multirun/mlflow.db"
        ) from None


def _root_cause(error: BaseException) -> BaseException:
    """Return the error of the socket, which MLflow wraps in four others; the error itself if it has no cause."""
    return error if error.__context__ is None else _root_cause(error.__context__)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0]
