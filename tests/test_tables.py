"""The tables of a study have a cell for every number, and an empty one for what is not known."""

import math

from fer_experiments.report.tables import build_results_table, build_summary_table
from tests.results import build_study


def test_metrics_that_a_result_lacks_are_empty_cells():
    record = build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    more = {"macro_f1": 0.65, "auroc": 0.9, "ece": 0.1, "recall": {"angry": None, "happy": 0.8},
            "precision": {"angry": None, "happy": 0.5}}  # fmt: skip
    record.results[1].metrics["test"].update(more)
    table = build_results_table(record).set_index("arm")
    assert table.loc["none", ["macro_f1", "auroc", "ece", "precision_happy"]].isna().all()
    assert table.loc["dcgan", ["macro_f1", "auroc", "ece", "precision_happy"]].tolist() == [0.65, 0.9, 0.1, 0.5]
    assert math.isnan(table.loc["dcgan", "recall_angry"])
    summary = build_summary_table(record).set_index("arm")[["macro F1", "AUROC", "ECE", "recall angry", "recall happy"]]
    assert summary.loc["none"].tolist() == ["", "", "", "70.00%", "70.00%"]
    assert summary.loc["dcgan"].tolist() == ["65.00%", "90.00%", "0.1000", "", "80.00%"]
