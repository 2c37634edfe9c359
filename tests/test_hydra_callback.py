"""A sweep leaves its report, whatever becomes of its jobs."""

import atexit
import subprocess
import sys
from pathlib import Path

from omegaconf import OmegaConf

from fer_experiments.report.hydra_callback import SweepReport, write_sweep_report
from tests.results import build_study, save_study, write_sweep
from tests.test_cli import TINY_FACES, TINY_NETWORKS, command


def test_a_failed_job_costs_no_other_and_the_sweep_tells_of_it(tmp_path):
    jobs = ["data.imbalance=1,2,4", "trainer=smoke", "classifier.epochs=1"]  # there are 20 and 12: 1 is impossible
    line = ["-m", "train=cnn", *jobs, *TINY_NETWORKS, *TINY_FACES, "hydra.sweeper.max_batch_size=1"]
    done = command(*line, where=tmp_path)
    assert done.returncode == 1
    (report,) = tmp_path.glob("multirun/cnn-faces/*/report.html")
    assert (report.parent / "curves.csv").is_file()
    assert "report of 2 finished trainings in" in done.stdout
    assert "sweep: 1 of 3 jobs done, 1 failed, 1 waiting; about" in done.stdout
    table = done.stdout[done.stdout.index(f"{report.parent.relative_to(tmp_path)}: 2 of 3 jobs done, 1 failed\n") :]
    assert ": failed: ConfigError: data.imbalance=1.0: needs 20 images of angry beside 20 of happy" in table
    assert "cnn-faces.log)" in table
    again = command(*line, where=tmp_path)
    assert again.returncode == 1
    assert again.stdout.count("already finished (") == 2
    assert again.stdout.count("and failed (ConfigError: data.imbalance=1.0") == 1
    assert list(tmp_path.glob("multirun/cnn-faces/*")) == [report.parent]


def test_a_sweep_whose_jobs_end_before_they_begin_has_failed(tmp_path):
    devices = ["accelerator=cpu", "trainer=ddp"]
    done = command("-m", "train=cnn", "seed=0,1", *devices, *TINY_NETWORKS, *TINY_FACES, where=tmp_path)
    assert done.returncode == 1
    assert "0 of 2 jobs done, 2 waiting" in done.stdout
    assert "in a multirun each process of DDP would run the whole sweep" in done.stdout


def test_a_sweep_with_an_interpolation_is_done_when_its_jobs_are(tmp_path):
    keys = ("train=cnn", "seed=0,1", "data.split_seed=${seed}", "trainer=smoke", *TINY_NETWORKS, *TINY_FACES)
    done = command("-m", *keys, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 jobs done" in done.stdout


def test_a_pattern_that_matches_no_file_is_refused(tmp_path):
    done = command("-m", "train=cnn", "balance=glob(zzz*)", where=tmp_path)
    assert done.returncode == 2
    assert "balance=glob(zzz*): matches no file; balance has balanced_softmax" in done.stderr


def test_a_sweep_takes_the_files_of_a_group_that_a_pattern_matches(tmp_path):
    keys = ("train=cnn", "balance=glob(o*)", "plan_only=true", *TINY_NETWORKS, *TINY_FACES)
    done = command("-m", *keys, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to train: classifier of oversample") == 1


def test_a_sweep_that_only_plans_counts_and_reports_no_jobs(tmp_path):
    done = command("-m", "train=cnn", "seed=0,1", "plan_only=true", *TINY_NETWORKS, *TINY_FACES, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to train: classifier of none") == 2
    assert "jobs done" not in done.stdout
    assert "report" not in done.stdout.replace("warnings of the report", "")
    assert not list(tmp_path.glob("multirun/**/sweep.json"))
    assert [path.name for path in tmp_path.glob("multirun/*/*/*")] == ["multirun.yaml"]


def test_jobs_in_a_folder_that_the_user_names_are_named_by_what_differs(tmp_path):
    keys = ("train=cnn", "seed=0,1", "gan.epochs=3", *TINY_NETWORKS, *TINY_FACES, "trainer=smoke")
    done = command("-m", *keys, "hydra.sweep.dir=mine", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name[:-9] for path in (tmp_path / "mine").iterdir() if path.is_dir()) == ["seed=0", "seed=1"]


def test_one_value_for_the_key_that_an_experiment_sweeps_leaves_one_job(tmp_path):
    done = command("experiment=imbalance_sweep", "data.imbalance=10", "plan_only=true", "trainer=smoke", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines() if "#" in line] == [["[sweep]", "#0"]]


def test_the_report_is_written_at_exit_into_the_sweep_s_folder(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(atexit, "register", lambda *call: called.append(call))
    hydra = {"sweep": {"dir": str(tmp_path)}, "sweeper": {"_target_": "some.Sweeper", "n_trials": 3}}
    SweepReport().on_multirun_start(OmegaConf.create({"plan_only": False, "hydra": hydra}), config_name="config")
    assert called == [(write_sweep_report, Path(tmp_path))]


def test_a_process_that_ran_no_job_writes_it_too(tmp_path):
    folder = write_sweep(tmp_path, a=100, b=300)
    code = (
        "import atexit, pathlib, sys; from fer_experiments.report.hydra_callback import write_sweep_report; "
        "atexit.register(write_sweep_report, pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert (folder / "report.html").is_file()


def test_studies_and_classifiers_have_a_report(tmp_path):
    save_study(tmp_path / "studies" / "0", build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0]))
    for folder in (write_sweep(tmp_path / "classifiers", a=100, b=300), tmp_path / "studies"):
        write_sweep_report(folder)
        assert (folder / "report.html").is_file()


def test_a_sweep_of_gans_has_none_and_says_so(tmp_path, capsys):
    write_sweep_report(tmp_path)
    assert f"report: no classifier was trained in {tmp_path}" in capsys.readouterr().err
    write_sweep_report(tmp_path / "never_begun")
    assert capsys.readouterr().err == ""
