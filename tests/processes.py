"""Processes that begin with torch and Lightning imported, which takes a process of its own five seconds.

Python's fork server imports them once, and forks for each command; it has computed nothing by then.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["fer_experiments.train.seeds", "fer_experiments.train.study", "imblearn"])


def start_process(call: Callable[..., None], *arguments: Any, folder: Path, output: Path) -> BaseProcess:
    """Start call(*arguments) in a process that works in a folder and writes to the file `output`, and to `output`.err.

    The process has the environment variables of this one.
    """
    files = output, output.with_name(f"{output.name}.err")
    process = CONTEXT.Process(target=_run, args=(call, arguments, folder, files, dict(os.environ)))
    process.start()
    return process


def run_module(
    module: str, arguments: Sequence[str], folder: Path, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run python -m MODULE with arguments in a folder, and wait for its end, `seconds` at most."""
    with TemporaryDirectory() as temporary:
        output = Path(temporary) / "output"
        process = start_process(_run_as_main, module, list(arguments), folder=folder, output=output)
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired([module, *arguments], seconds)
        written, errors = (path.read_text() for path in (output, output.with_name("output.err")))
    return subprocess.CompletedProcess([module, *arguments], process.exitcode, written, errors)


def _run(
    call: Callable[..., None],
    arguments: tuple[Any, ...],
    folder: Path,
    files: tuple[Path, Path],
    environment: dict[str, str],
) -> None:
    for descriptor, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        call(*arguments)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


def _run_as_main(module: str, arguments: list[str]) -> None:
    sys.argv = [module, *arguments]
    sys.path.insert(0, "")
    runpy.run_module(module, run_name="__main__", alter_sys=True)
