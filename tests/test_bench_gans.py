"""The table that compares GANs by their audits."""

import json

from fer_experiments.bench.gans import COLUMNS, main, read_audits, table


def write(folder, **audit) -> None:
    folder.mkdir(parents=True)
    (folder / "audit.json").write_text(json.dumps(audit))


def test_seeds_of_a_setting_are_one_row_for_each_class(tmp_path, capsys):
    write(tmp_path / "gan=dcgan,seed=0-0409087c", **{"class": "angry", "kid": 0.02, "coverage": 0.5})
    write(tmp_path / "gan=dcgan,seed=1-1a2b3c4d", **{"class": "angry", "kid": 0.04, "coverage": None})
    write(tmp_path / "gan=recipe,seed=0-57e724c5" / "angry", **{"class": "angry", "kid": 0.25, "coverage": 0.75})
    write(tmp_path / "gan=recipe,seed=0-57e724c5" / "happy", **{"class": "happy", "kid": -0.5, "coverage": 1.0})
    main([str(run) for run in sorted(tmp_path.iterdir())])
    assert capsys.readouterr().out.splitlines() == [
        "| setting | class | seeds | KID | coverage |",
        "| :-- | :-- | --: | --: | --: |",
        "| gan=dcgan | angry | 2 | 0.0300 (0.0200 to 0.0400) | 0.50 |",
        "| gan=recipe | angry | 1 | 0.25 | 0.75 |",
        "| gan=recipe | happy | 1 | -0.50 | 1.00 |",
    ]


def test_runs_of_one_name_and_other_settings_are_other_rows(tmp_path):
    for seed, epochs in ((0, 25), (1, 25), (0, 50)):
        run = tmp_path / f"dcgan,seed={seed}-{epochs:08d}"
        write(run, **{"class": "angry", "kid": 0.02})
        (run / "config.yaml").write_text(f"seed: {seed}\ngan: {{epochs: {epochs}}}")
    audits = read_audits(sorted(tmp_path.iterdir()))
    assert sorted(len(each) for each in audits.values()) == [1, 2]
    assert all(setting.startswith("dcgan (") for setting, _ in audits)


def test_an_audit_of_a_folder_tells_of_each_of_its_classes(tmp_path):
    one, other = ({"class": label, "usefulness": value} for label, value in (("angry", 0.25), ("happy", 0.75)))
    write(tmp_path / "audited", kid=9.0, classes={"angry": one, "happy": other})
    assert read_audits([tmp_path / "audited"]) == {("audited", "angry"): [one], ("audited", "happy"): [other]}


def test_audits_that_broke_have_no_row(tmp_path):
    write(tmp_path / "seed=0-57e724c5", **{"class": "angry", "problem": "ValueError: too few"})
    assert len(table(read_audits([tmp_path / "seed=0-57e724c5"])).splitlines()) == 2


def test_the_columns_are_numbers_that_audits_have(run):
    folder = run("train=dcgan", "data.valid_fraction=0.4")
    (audit,) = read_audits([folder])[folder.name, "angry"]
    assert set(COLUMNS) - {"usefulness"} <= set(audit)  # which fer_experiments.audit alone measures
