"""The table that compares GANs by their audits."""

import pytest

from fer_experiments.audit.record import AuditRecord, FolderAuditRecord
from fer_experiments.bench.gans import COLUMNS, format_table, main, read_audits


def class_audit(label: str, measures: dict[str, object] | None = None, **headline: float | None) -> AuditRecord:
    return AuditRecord(label=label, generated=20, synthetic="synthetic", measures=measures, headline=headline)


def write_audit(folder, label: str, **headline: float | None) -> None:
    class_audit(label, **headline).save(folder)


def test_seeds_of_a_setting_are_one_row_for_each_class(tmp_path, capsys):
    write_audit(tmp_path / "gan=dcgan,seed=0-0409087c", "angry", kid=0.02, coverage=0.5)
    write_audit(tmp_path / "gan=dcgan,seed=1-1a2b3c4d", "angry", kid=0.04, coverage=None)
    write_audit(tmp_path / "gan=recipe,seed=0-57e724c5" / "angry", "angry", kid=0.25, coverage=0.75)
    write_audit(tmp_path / "gan=recipe,seed=0-57e724c5" / "happy", "happy", kid=-0.5, coverage=1.0)
    main([str(run) for run in sorted(tmp_path.iterdir())])
    assert capsys.readouterr().out.splitlines() == [
        "| setting | class | seeds | real images | KID | coverage |",
        "| :-- | :-- | --: | --: | --: | --: |",
        "| gan=dcgan | angry | 2 |  | 0.0300 (0.0200 to 0.0400) | 0.50 |",
        "| gan=recipe | angry | 1 |  | 0.25 | 0.75 |",
        "| gan=recipe | happy | 1 |  | -0.50 | 1.00 |",
    ]


@pytest.mark.parametrize(
    ("measures", "text"),
    [
        ([{"held_out": 500, "held_out_source": "unused"}] * 2, "500 unused"),
        ([{"held_out": 500, "held_out_source": "unused"}, {"held_out": 498, "held_out_source": "unused"}],
         "498 to 500 unused"),
        ([{"held_out": 82}, {"held_out": 500, "held_out_source": "unused"}], "500 unused; 82 validation"),
    ],
)  # fmt: skip
def test_the_table_says_which_real_images_the_generated_ones_were_compared_with(measures, text):
    table = format_table({("gan", "angry"): [class_audit("angry", each, kid=0.5) for each in measures]})
    assert table.splitlines()[-1] == f"| gan | angry | 2 | {text} | 0.50 (0.50 to 0.50) |"


def test_runs_with_the_same_name_and_different_settings_are_different_rows(tmp_path):
    for seed, epochs in ((0, 25), (1, 25), (0, 50)):
        run = tmp_path / f"dcgan,seed={seed}-{epochs:08d}"
        write_audit(run, "angry", kid=0.02)
        (run / "config.yaml").write_text(f"seed: {seed}\ngan: {{epochs: {epochs}}}")
    audits = read_audits(sorted(tmp_path.iterdir()))
    assert sorted(len(of_seeds) for of_seeds in audits.values()) == [1, 2]
    assert all(setting.startswith("dcgan (") for setting, _ in audits)


def test_an_audit_of_a_folder_gives_an_audit_of_each_of_its_classes(tmp_path):
    angry, happy = class_audit("angry", usefulness=0.25), class_audit("happy", usefulness=0.75)
    FolderAuditRecord(
        synthetic="synthetic",
        split="split.csv",
        split_hash="0123",
        generated=40,
        headline={"kid": 9.0},
        learned_from_generated={},
        learned_from_real={},
        checks={},
        classes={"angry": angry, "happy": happy},
    ).save(tmp_path / "audited")
    assert read_audits([tmp_path / "audited"]) == {("audited", "angry"): [angry], ("audited", "happy"): [happy]}


def test_audits_that_failed_have_no_row(tmp_path):
    folder = tmp_path / "seed=0-57e724c5"
    class_audit("angry", kid=0.02).model_copy(update={"problem": "ValueError: too few"}).save(folder)
    assert len(format_table(read_audits([folder])).splitlines()) == 2


def test_the_columns_are_numbers_that_audits_have(run):
    folder = run("train=dcgan", "data.valid_fraction=0.4")
    (audit,) = read_audits([folder])[folder.name, "angry"]
    assert set(COLUMNS) - {"usefulness"} <= set(audit.headline)  # which fer_experiments.audit alone measures
