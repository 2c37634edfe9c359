"""The command line. torch is imported only when a job begins its work, so that --help and errors come at once."""

import sys
import traceback
from argparse import Namespace
from contextlib import redirect_stderr
from io import StringIO
from types import TracebackType
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

import fer_experiments.run_naming  # noqa: F401 - registers the resolvers that conf/config.yaml names
from fer_experiments.atomic_write import storage_error
from fer_experiments.completed_overrides import complete_overrides
from fer_experiments.conf_files import build_help
from fer_experiments.environment import environment_variable
from fer_experiments.errors import ConfigError, StorageError
from fer_experiments.exit_status import INTERRUPTED_STATUS, refuse, run_command_line
from fer_experiments.hydra_errors import describe_hydra_error, explain_unwritable_folder
from fer_experiments.override_keys import explain_wrong_overrides
from fer_experiments.override_paths import quote_paths
from fer_experiments.strict_config import CONF_DIR

# Lets Hydra raise its errors; it would print them with a traceback or a long list, and exit with status 1.
FULL_ERROR = "HYDRA_FULL_ERROR"


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def job(config: DictConfig) -> float | None:
    """Run one job; the value is what a sweeper such as Optuna maximizes."""
    from fer_experiments.train import run

    try:
        return run.run_job(config)
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
    sys.argv[1:] = complete_overrides(list(quote_paths(sys.argv[1:])))
    parser = get_args_parser()
    parser.usage = "python -m fer_experiments [OPTION ...] [KEY=VALUE ...]; --help lists options, groups and examples"
    arguments = parser.parse_intermixed_args()
    # Hydra's own parser takes no override behind an option that follows others: gan.epochs=3 -m seed=0,1
    sys.argv[1:] = [*arguments.overrides, *(each for each in sys.argv[1:] if each not in arguments.overrides)]
    _check_arguments(arguments)
    if sys.argv[1:] in (["--help"], ["-h"]):  # Hydra's takes a second, and lists 200 lines of keys first
        print(build_help())
        return
    is_query = arguments.shell_completion and arguments.overrides[0].startswith("query=")
    try:
        # A message of Hydra would stand in the line that a user is typing; it means that nothing completes it.
        with redirect_stderr(StringIO()) if is_query else environment_variable(FULL_ERROR, "1"):
            job()
    except CompactHydraException as error:
        refuse(describe_hydra_error(error))
    except ConfigError as error:  # of a search that Optuna ends at a failed job
        refuse(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        if isinstance(error, StorageError):  # of such a search as well
            raise
        refuse(explain_unwritable_folder("hydra.run.dir", error))  # job() itself raises none
    except Exception as error:
        if _is_raised_by_hydra(error):
            refuse(str(error))  # options that don't fit each other, as --cfg and --run
        raise error.with_traceback(_cut_frames_of_hydra(error.__traceback__)) from error.__cause__


def _check_arguments(arguments: Namespace) -> None:
    """Refuse what Hydra would answer by a traceback, or without saying what to do instead."""
    if arguments.shell_completion:
        _check_completion(arguments.overrides)
        return
    if arguments.multirun and (arguments.cfg or arguments.info):
        refuse("--cfg and --info show one job; leave out -m, and give each key one value")
    if arguments.experimental_rerun:
        refuse("--experimental-rerun: there is no pickled job; the command itself, given again, continues its run")
    has_foreign_files = any((arguments.config_dir, arguments.config_path, arguments.config_name)) or any(
        "hydra.searchpath" in override for override in arguments.overrides
    )
    if wrong := list(explain_wrong_overrides(arguments.overrides, has_foreign_files)):
        refuse(*wrong)


def _check_completion(overrides: list[str]) -> None:
    command, _, shell = " ".join(overrides).partition("=")
    if command not in ("install", "uninstall", "query") or shell not in ("bash", "zsh", "fish"):
        refuse("-sc takes install=SHELL or uninstall=SHELL, where SHELL is bash, zsh or fish")
    if sys.argv[0].endswith(".py"):
        refuse(f"completion is for the command fer-experiments, not for python: fer-experiments -sc {command}={shell}")


def _cut_frames_of_hydra(frames: TracebackType | None) -> TracebackType | None:
    """Return the frames of the job; all of them if the error came before it."""
    job_frames = frames
    while job_frames is not None and job_frames.tb_frame.f_code.co_name != run_job.__name__:
        job_frames = job_frames.tb_next
    return job_frames or frames


def _is_raised_by_hydra(error: Exception) -> bool:
    """Whether Hydra itself raised the error, where it reads the command line."""
    if not isinstance(error, ValueError):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__") in ("hydra.main", "hydra._internal.utils")


if __name__ == "__main__":
    main()
