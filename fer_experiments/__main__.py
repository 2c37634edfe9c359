"""The command line. torch and lightning are imported only when a job runs, so that --help answers at once."""

import hydra
from omegaconf import DictConfig

import fer_experiments.identity  # noqa: F401 - resolvers that conf/config.yaml names
from fer_experiments.spec import CONF_DIR


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def main(config: DictConfig) -> float | None:
    from fer_experiments.train.job import run_job

    return run_job(config)  # which sweepers ask for


if __name__ == "__main__":
    main()
