"""The command line. torch and lightning are imported only when a job runs, so that --help answers at once."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

import fer_experiments.identity  # noqa: F401 - resolvers that conf/config.yaml names
from fer_experiments.errors import ConfigError
from fer_experiments.spec import CONF_DIR
from fer_experiments.whole import storage_error


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def main(config: DictConfig) -> float | None:
    from fer_experiments.train.job import run_job

    try:
        return run_job(config)  # which sweepers ask for
    except (ConfigError, OSError) as error:
        said = error if isinstance(error, ConfigError) else storage_error(error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise said from error  # sys.exit would end the whole sweep
        sys.exit(f"fer_experiments: {said}")
    except KeyboardInterrupt:
        folder = HydraConfig.get().runtime.output_dir
        print(f"\nstopped in {folder}; the same command goes on from what is finished", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
