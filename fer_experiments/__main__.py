"""The command line. torch and lightning are imported only when a job runs, so that --help answers at once."""

import sys
import traceback
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

import fer_experiments.identity  # noqa: F401 - resolvers that conf/config.yaml names
from fer_experiments.ending import STOPPED, ended
from fer_experiments.errors import ConfigError
from fer_experiments.progress import busy
from fer_experiments.spec import CONF_DIR
from fer_experiments.whole import storage_error


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def job(config: DictConfig) -> float | None:
    with busy("starting"):
        from fer_experiments.train.job import run_job

    try:
        return run_job(config)  # which sweepers ask for
    except (ConfigError, OSError) as error:
        said = error if isinstance(error, ConfigError) else storage_error(error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise said from error  # sys.exit would end the whole sweep
        print(f"fer_experiments: {said}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        folder = HydraConfig.get().runtime.output_dir
        print(f"\nstopped in {folder}; the same command goes on from what is finished", file=sys.stderr)
        sys.exit(STOPPED)


def main() -> NoReturn:
    """Exit status: 0, 1 where a job failed, 2 for what can't be asked, 130 after Ctrl-C."""
    ended(_run)


def _run() -> None:
    try:
        job()
    except SystemExit as stop:
        if isinstance(stop.__context__, CompactHydraException):  # an override or group, of which Hydra has told
            sys.exit(2)
        if _of_groups(stop.__context__):  # data=null, which Hydra meets with a traceback
            print("fer_experiments: this can't be composed; a group takes a file's name: data=folder", file=sys.stderr)
            sys.exit(2)
        raise


def _of_groups(error: BaseException | None) -> bool:
    """Whether it was raised where Hydra puts the files of the groups together."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)] if error is not None else []
    return bool(frames) and frames[-1].f_globals.get("__name__") == "hydra._internal.defaults_list"


if __name__ == "__main__":
    main()
