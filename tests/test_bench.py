"""The benchmark's references are faithful, and its tables say what was measured. Nothing is timed here."""

import inspect
import itertools
import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from fer_experiments.bench import __main__ as bench
from fer_experiments.bench import bottleneck, cases, gpu, gpu_steps, parts, quality, same_arm, timing, tutorial
from fer_experiments.bench.report import format_report
from fer_experiments.classifier.networks import CNN
from fer_experiments.evaluation.predictions import Predictions
from tests.conftest import write_images


def test_the_network_of_tutorials_is_ours_in_another_order():
    ours, theirs = CNN(2).eval(), tutorial.TutorialCNN(2).eval()
    states = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    with torch.no_grad():
        for value, copy in states:
            copy.copy_(value)
    images = torch.rand(2, 3, 100, 100)
    torch.testing.assert_close(theirs(images), ours(images))


@pytest.mark.parametrize("model", ["dcgan", "classifier"])
def test_the_references_run(two_classes, monkeypatch, model):
    monkeypatch.setattr(tutorial, "BATCH", 16)
    monkeypatch.setattr(tutorial, "WORKERS", 0)
    tutorial.LOOPS[model](tutorial.LOADERS[model](str(two_classes)), 1, torch.device("cpu"))


def test_both_sides_get_the_same_images_batch_and_epochs(tmp_path):
    for name, line in parts.build_process_commands(tmp_path, gpu=False).items():
        model, implementation, epochs = name.split()
        text = " ".join(line)
        if implementation == "tutorial":
            assert text.endswith(f" {epochs}")
        else:
            assert f"{'gan' if model == 'dcgan' else 'classifier'}.epochs={epochs}" in text
            assert f"batch_size={tutorial.BATCH}" in text
            assert f"trainer.precision={'32-true' if implementation == 'fp32' else 'bf16-mixed'}" in text


def test_every_job_of_the_benchmark_composes(tmp_path, read):
    for part in ("start", "process"):
        for line in parts.PARTS[part](tmp_path, False).values():
            if "fer_experiments" in line and "--help" not in line:
                read(*(word for word in line[3:] if not word.startswith("hydra.")))


@pytest.mark.parametrize("gpu", [False, True])
def test_every_case_names_its_settings(tmp_path, gpu):
    for part in ("step", "overhead", "data", "scaling", "ceiling"):
        for line in parts.PARTS[part](tmp_path, gpu).values():
            name, *settings = line[3:]
            inspect.signature(cases.CASES[name]).bind(**dict(setting.split("=", 1) for setting in settings))


@pytest.mark.parametrize("model", ["dcgan", "classifier"])
def test_a_measurement_is_one_process(model):
    result = bench.run_command([*parts.CASE, "overhead", f"model={model}", "implementation=lightning", "steps=3"])
    assert 0 < result["seconds"] < result["process_seconds"]
    assert result["peak_rss_bytes"] > 50 * 2**20


def test_a_measurement_that_fails_shows_why():
    with pytest.raises(RuntimeError, match=r"(?s)cases nothing failed:.*KeyError: 'nothing'"):
        bench.run_command([*parts.CASE, "nothing"])


def test_medians_leave_out_the_round_that_warms_the_caches(monkeypatch):
    clock = iter([100.0, 1.0, 5.0, 2.0])
    monkeypatch.setattr(bench, "run_command", lambda line: {"process_seconds": next(clock)})
    assert bench.measure({"start: x": []}, repeats=3) == {"start: x": {"process_seconds": 2.0}}


def test_our_plain_step_is_counted_as_the_arithmetic_says():
    result = cases.step("classifier", batch=2, steps=1)
    assert result["flop"] / 2 == pytest.approx(243.4e6, rel=0.01)
    assert result["flop_per_second"] == pytest.approx(result["flop"] / result["seconds"])


def test_an_unknown_implementation_is_refused():
    for case in (cases.step, cases.overhead):
        with pytest.raises(KeyError, match="ours"):
            case("classifier", "ours", batch=2, steps=1)


def test_both_sides_read_images_to_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(tutorial, "WORKERS", 0)
    images = parts.draw_images(tmp_path, 8)
    for implementation in ("tutorial", "lightning"):
        assert cases.data("classifier", implementation, f"{images}/faces")["images_per_second"] > 0
    assert cases.cache(100, "traditional")["images_per_second"] > 0


def test_the_tables_give_ratios_overhead_and_share_of_the_ceiling():
    process = {
        f"process: dcgan {implementation} {epochs}": {
            "process_seconds": seconds * (epochs + 1),
            "peak_rss_bytes": 3.0 * 2**20,
        }
        for implementation, seconds in (("tutorial", 10.0), ("fp32", 4.0))
        for epochs in (1, 6)
    }
    step = {
        "step: dcgan tutorial 64": {"seconds": 0.4, "flop_per_second": 1e9},
        "step: dcgan bf16 64": {"seconds": 0.1, "flop_per_second": 4e9},
    }
    overhead_and_ceiling = {
        "overhead: dcgan plain": {"seconds": 0.001},
        "overhead: dcgan lightning": {"seconds": 0.0013},
        "ceiling: bf16": {"convolution_flop_per_second": 5e9, "matmul_flop_per_second": 6e9},
    }
    text = format_report(process | step | overhead_and_ceiling, {"device": "CPU"}, 3)
    assert "| dcgan, fp32 | 6 | 28.0 s | 2.50 | 4.00 s | 2.50 | 3 MiB |" in text
    assert "| dcgan, bf16, batch 64 | 100.00 ms | 4.00 | 4 GFLOP/s | 80% |" in text
    assert "| dcgan | 1000 us | 1300 us | 300 us |" in text
    assert "## Data" not in text  # not measured


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0"], "--repeats and --images must be 1 or more"),
        (["--parts", "step,sleep"], "--parts: no sleep; there are start, process, step"),
    ],
)
def test_wrong_arguments_are_refused(capsys, arguments, message):
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert message in capsys.readouterr().err


# Quality


@pytest.mark.usefixtures("blank_figures")
def test_quality_compares_studies(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quality, "SAMPLES", 20)
    arms = "train.arms=[none,dcgan]"
    folders = [
        run(arms, f"trainer.precision={precision}", folder=tmp_path / precision)
        for precision in ("32-true", "bf16-mixed")
    ]
    quality.main([*map(str, folders), "--features", "none"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert lines[-4] == "| precision | none | dcgan | kid | floor |"
    assert [line.split("|")[1].strip() for line in lines[-2:]] == ["fp32", "bf16-mixed"]
    floors = [line.split("|")[5] for line in lines[-2:]]
    assert floors[0] == floors[1]  # the same real images, the same features


@pytest.mark.usefixtures("blank_figures")
def test_the_same_arm_under_two_names_differs_in_the_seed_of_training_alone(tmp_path, capsys):
    tiny = ["data.train_per_class=40", "data.test_per_class=12", "data.counts={angry: 12, happy: 20}"]
    same_arm.main(["--studies=2", "--seeds=2", f"--out={tmp_path}", "trainer=smoke", "classifier.image_size=32", *tiny])
    assert "2 studies of 2 seeds: " in capsys.readouterr().out
    comparisons = json.loads((tmp_path / "same_arm.json").read_text())
    assert [comparison["images"] for comparison in comparisons] == [24, 24]
    for study, seed in itertools.product(range(2), range(2)):
        first, second = (tmp_path / f"study_{study}" / f"seed_{seed}" / name for name in ("none", "again"))
        tables = [pd.read_csv(folder / "training.csv").sort_values("path") for folder in (first, second)]
        assert tables[0].equals(tables[1])
        logits = [Predictions.load(folder, "test").logits for folder in (first, second)]
        assert (logits[0] != logits[1]).any()


def test_only_images_that_were_resized_are_told_apart(two_classes, capsys):
    for folder in two_classes.iterdir():
        shutil.rmtree(folder)
        write_images(folder, 100, size=(48, 48), seed=len(folder.name))
    settings = ["data=folder", f"data.root={two_classes}", "classifier.image_size=48", "gan.image_size=32"]
    bottleneck.main(["--seeds=1", *settings])
    as_they_are, resized = re.findall(r"(\d\.\d\d) \(", capsys.readouterr().out)
    assert float(as_they_are) < 0.7
    assert float(resized) > 0.9


# One GPU


def test_a_part_that_takes_too_long_or_fails_does_not_stop_the_next(tmp_path, monkeypatch, capsys):
    def build(out, tiny):
        commands = {"slow": "import time; time.sleep(9)", "wrong": "1 / 0", "steps": "print('{\"model\": 1}')"}
        seconds = {"slow": 0.5}
        return {
            name: gpu.Part(name, [sys.executable, "-c", code], seconds.get(name, 9)) for name, code in commands.items()
        }

    monkeypatch.setattr(gpu, "build_parts", build)
    monkeypatch.setattr(gpu, "tabulate_steps", lambda steps: [["model"], *([str(row["model"])] for row in steps)])
    with pytest.raises(SystemExit, match="1"):
        gpu.main(["--out", str(tmp_path)])
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert [(part["name"], part["status"]) for part in report["parts"]] == [("slow", None), ("wrong", 1), ("steps", 0)]
    assert report["steps"] == [{"model": 1}]
    assert "ZeroDivisionError" in (tmp_path / "wrong.log").read_text()
    table = (tmp_path / "gpu.md").read_text()
    assert "| slow | stopped |" in table
    assert "| wrong | failed (wrong.log) |" in table


def test_every_file_with_tests_for_a_gpu_is_run_on_one():
    files = [file for file in Path(__file__).parent.glob("test_*.py") if "pytest.mark.gpu" in file.read_text()]
    assert {f"tests/{file.name}" for file in files} - {"tests/test_bench.py"} == set(gpu.GPU_TESTS)


def test_the_parts_for_a_gpu_end_within_nine_minutes(tmp_path, read):
    parts = gpu.build_parts(tmp_path, tiny=False)
    assert sum(part.seconds for part in parts.values()) <= 540
    for name in ("paper", "seeds"):
        overrides = [word for word in parts[name].command[3:] if not word.startswith("hydra.")]
        read(*(word.replace("accelerator=gpu", "accelerator=cpu") for word in overrides))


def test_steps_are_compared_with_the_tutorials_and_with_the_floor(monkeypatch):
    monkeypatch.setattr(timing, "WARM_UP", 1)
    rows = list(gpu_steps.measure_steps(tiny=True))
    assert {row["implementation"] for row in rows} >= {"tutorial", "plain", "lightning"}
    assert all(row["floor"] > 0 for row in rows)
    tutorial_row = rows[0] | {"seconds": 0.2, "floor": 0.05}
    plain_row = tutorial_row | {"implementation": "plain", "seconds": 0.1}
    table = gpu.tabulate_steps([tutorial_row, plain_row])
    assert [row[-3:] for row in table[1:]] == [["200.00 ms", "1.0", "4.0"], ["100.00 ms", "2.0", "2.0"]]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_part_runs_tiny_on_any_device(tmp_path):
    gpu.main(["--out", str(tmp_path), "--tiny"])
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert [part["status"] for part in report["parts"]] == [0, 0, 0, 0]
    assert "gan" in (tmp_path / "gpu.md").read_text()
