"""The command line. torch and lightning are imported only when a job runs, so that --help answers at once."""

import sys
import traceback
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

import fer_experiments.run_naming  # noqa: F401 - registers the resolvers that conf/config.yaml names
from fer_experiments.atomic_write import storage_error
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import INTERRUPTED_STATUS, run_command_line
from fer_experiments.override_keys import explain_wrong_keys
from fer_experiments.override_paths import quote_paths
from fer_experiments.progress import show_activity
from fer_experiments.strict_config import CONF_DIR


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def job(config: DictConfig) -> float | None:
    """Run one job; the value is what a sweeper such as Optuna maximizes."""
    with show_activity("starting"):
        from fer_experiments.train.run import run_job

    try:
        return run_job(config)
    except (ConfigError, OSError) as error:
        reported = error if isinstance(error, ConfigError) else storage_error(error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise reported from error  # sys.exit would end the whole sweep
        print(f"fer_experiments: {reported}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        folder = HydraConfig.get().runtime.output_dir
        print(f"\nstopped in {folder}; the same command continues from what is finished", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)


def main() -> NoReturn:
    """Exit with status 0, 1 if a job failed, 2 if the configuration is wrong, 130 after Ctrl-C."""
    run_command_line(_run)


def _run() -> None:
    sys.argv[1:] = quote_paths(sys.argv[1:])
    options = {argument.partition("=")[0] for argument in sys.argv[1:]}
    if options & {"-m", "--multirun"} and options & {"-c", "--cfg", "-i", "--info"}:  # Hydra ends in a traceback
        _refuse("--cfg and --info show one job; leave out -m, and give each key one value")
    if wrong := list(explain_wrong_keys(sys.argv[1:])):
        _refuse(*wrong)
    try:
        job()
    except SystemExit as exit_request:
        cause = exit_request.__context__
        if isinstance(cause, CompactHydraException):  # a wrong override or group, which Hydra has reported
            sys.exit(2)
        if _was_raised_composing(cause):  # data=null, which ends in a traceback inside Hydra
            _refuse("this can't be composed; a group takes a file's name: data=folder")
        raise


def _refuse(*reasons: str) -> NoReturn:
    """Print why the command is wrong, and exit with status 2."""
    print("\n".join(f"fer_experiments: {reason}" for reason in reasons), file=sys.stderr)
    sys.exit(2)


def _was_raised_composing(error: BaseException | None) -> bool:
    """Whether the error was raised where Hydra composes the files of the groups."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)] if error is not None else []
    return bool(frames) and frames[-1].f_globals.get("__name__") == "hydra._internal.defaults_list"


if __name__ == "__main__":
    main()
