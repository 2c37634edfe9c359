"""Run a command line, kill it at random moments, and start it again until it ends: python -m tests.kill --help.

One process imports everything that a job needs and forks for each start, which saves the ten seconds of the imports.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from fer_experiments.__main__ import job
from fer_experiments.completed_overrides import complete_overrides
from fer_experiments.train import config, study  # noqa: F401  so that every fork has all that a job imports

STAGES = {  # {pattern of a log line: stage that the job is in after it}
    "writing to": "data and cache",
    r"reference classifier: \d+ images": "reference classifier",
    r"GAN of .*: \d+ images,": "GAN",
    "images written to": "health and audit",
    "generated images of": "between trainings",
    r"--- seed|^\S*: (\d+ \w+)": "classifier",
    "test accuracy": "results and report",
}


def start(arguments: list[str], folder: Path, log: Path) -> int:
    """Fork this process, which has not computed anything yet, to run the job; return the process id of the fork."""
    child = os.fork()
    if child:
        return child
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    overrides = complete_overrides([*arguments, f"hydra.run.dir={folder}", "trainer.progress=false"])
    sys.argv = ["fer_experiments", *overrides]
    status = 1
    try:
        job()
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def read_stages(log: Path, offset: int = 0) -> list[str]:
    """Return the stages that the job has reached, by the lines of its log after the first `offset` bytes."""
    lines = log.read_bytes()[offset:].decode(errors="replace").splitlines()
    matches = ([stage for pattern, stage in STAGES.items() if re.search(pattern, line)] for line in lines)
    return [stages[0] for stages in matches if stages]


def wait(child: int, log: Path, offset: int, stages: int, seconds: float) -> int | None:
    """Return the exit status of the job, or None if it still runs `seconds` after it has reached that many stages.

    Args:
        child: the process id.
        log: where the job logs.
        offset: the size of the log at the start of the process.
        stages: how many stages, in the log after `offset`, the job must reach.
        seconds: how long to wait after that.
    """
    deadline = None
    while deadline is None or time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if deadline is None and len(read_stages(log, offset)) >= stages:
            deadline = time.monotonic() + seconds
        time.sleep(0.01)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for uninterrupted/, killed_1/ and so on")
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options, arguments = parser.parse_known_args()
    rng, kills = random.Random(options.seed), Counter()

    cache = options.out / "cache"
    os.environ["FER_EXPERIMENTS_CACHE"] = str(cache)
    started, log = time.monotonic(), options.out / "uninterrupted.log"
    log.touch()
    assert wait(start(arguments, options.out / "uninterrupted", log), log, 0, 0, 3600) == 0
    seconds, stages = time.monotonic() - started, len(read_stages(log))
    round_ = 0
    while sum(kills.values()) < options.kills:
        round_ += 1
        name, offset, status = f"killed_{round_}", 0, None
        log = options.out / f"{name}.log"
        log.touch()
        shutil.rmtree(cache)  # so that the kills also meet the writing of the cache
        while status is None:
            child = start(arguments, options.out / name, log)
            # The kill follows a random stage, so that short stages are met as often as long ones.
            status = wait(child, log, offset, rng.randrange(stages), rng.uniform(0, 2 * seconds / stages))
            if status is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills[["before the first line", *read_stages(log, offset)][-1]] += 1
                offset = log.stat().st_size
        assert status == 0, f"{name} ended with {status}, see {log}"
    counts = ", ".join(f"{count} {stage}" for stage, count in kills.items())
    print(f"{sum(kills.values())} kills, {round_} runs: {counts}")


if __name__ == "__main__":
    main()
