"""Messages of Lightning and torch that say what is meant to be so."""

import logging
import warnings

EXPECTED = (
    ".*does not have many workers.*",  # batches come from a memory map, which needs none
    ".*passed in a `val_dataloader` but have no `validation_step`.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*treespec, LeafSpec.*",  # lightning 2.6 with torch 2.15
    ".*sync_dist=True.*",  # what is logged is the same on every rank
    ".*(create_trial|add_trial) is experimental.*",  # in Optuna 2
    ".*callbacks used to create the checkpoint need to be provided.*",  # with ckpt_path callbacks begin anew
    ".*module\\(s\\) in eval mode at the start of training.*",  # classifier.freeze
    ".*Checkpoint directory .* exists and is not empty.*",
)


def ignore_expected_warnings() -> None:
    """Hide EXPECTED and Lightning's greetings, for the whole process.

    A study builds a dozen Trainers, each of which would repeat them.
    """
    import lightning  # noqa: F401 - which sets the levels of its loggers

    for package in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{package}").setLevel(logging.WARNING)
    for message in EXPECTED:
        warnings.filterwarnings("ignore", message)
