"""Start a command line again and again, each time killed at some moment, until it ends: python -m tests.kill --help.

One process imports all that a job needs and forks for each start, which so takes no ten seconds.
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
from fer_experiments.train import config, study  # noqa: F401  all that a job imports, for every fork

STAGES = {  # the last of these lines in the log says where a kill fell
    "writing to": "data and cache",
    r"judge: \d+ images": "judge",
    r"GAN of .*: \d+ images,": "GAN",
    "images written to": "health and audit",
    "generated images of": "between trainings",
    r"--- seed|^\S*: (\d+ \w+)": "classifier",
    "test accuracy": "results and report",
}


def start(arguments: list[str], folder: Path, log: Path) -> int:
    """The process id of the job in a fork of this process, which has not computed anything yet."""
    child = os.fork()
    if child:
        return child
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.argv = ["fer_experiments", *arguments, f"hydra.run.dir={folder}", "trainer.progress=false"]
    status = 1
    try:
        job()
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def stages(log: Path, since: int = 0) -> list[str]:
    """Where the job was with each of its telling lines after `since` bytes of its log."""
    lines = log.read_bytes()[since:].decode(errors="replace").splitlines()
    told = ([name for pattern, name in STAGES.items() if re.search(pattern, line)] for line in lines)
    return [names[0] for names in told if names]


def wait(child: int, log: Path, since: int, lines: int, seconds: float) -> int | None:
    """Its exit status, or None if it still runs so many seconds after it has written so many telling lines."""
    until = None
    while until is None or time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if until is None and len(stages(log, since)) >= lines:
            until = time.monotonic() + seconds
        time.sleep(0.01)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for whole/, killed_1/ and so on")
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options, arguments = parser.parse_known_args()
    rng, fallen = random.Random(options.seed), Counter()

    cache = options.out / "cache"
    os.environ["FER_EXPERIMENTS_CACHE"] = str(cache)
    begun, log = time.monotonic(), options.out / "whole.log"
    log.touch()
    assert wait(start(arguments, options.out / "whole", log), log, 0, 0, 3600) == 0
    seconds, lines = time.monotonic() - begun, len(stages(log))
    round_ = 0
    while sum(fallen.values()) < options.kills:
        round_ += 1
        name, since, status = f"killed_{round_}", 0, None
        log = options.out / f"{name}.log"
        log.touch()
        shutil.rmtree(cache)  # so that it too is made while kills fall
        while status is None:
            child = start(arguments, options.out / name, log)
            # After one of the lines that a job writes, so that short stages are met as often as long ones.
            status = wait(child, log, since, rng.randrange(lines), rng.uniform(0, 2 * seconds / lines))
            if status is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                fallen[["before the first line", *stages(log, since)][-1]] += 1
                since = log.stat().st_size
        assert status == 0, f"{name} ended with {status}, see {log}"
    print(f"{sum(fallen.values())} kills, {round_} runs: " + ", ".join(f"{n} {where}" for where, n in fallen.items()))


if __name__ == "__main__":
    main()
