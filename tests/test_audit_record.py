"""audit.json holds everything that an audit measured, with types or without."""

import json
from dataclasses import replace

import pytest

from fer_experiments.audit.class_audit import ClassAudit
from fer_experiments.audit.findings import make_findings
from fer_experiments.audit.measures import HEADLINE, ClassMeasures, NotMeasured
from fer_experiments.audit.record import AuditRecord, FolderAuditRecord
from fer_experiments.evaluation.generated.fid import FID
from fer_experiments.evaluation.generated.kid import KID
from tests.measures import class_measures

OPTIONAL = [name for name, field in ClassMeasures.model_fields.items() if "NotMeasured" in str(field.annotation)]


def class_audit(**changes) -> ClassAudit:
    measures = class_measures(**changes)
    return ClassAudit(
        label="angry",
        generated=20,
        synthetic="gan/synthetic",
        manifest="0123456789abcdef",
        measures=measures,
        headline=measures.headline(),
        checks=make_findings(measures),
        seconds=1.5,
    )


@pytest.mark.parametrize("missing", [[], *([name] for name in OPTIONAL), OPTIONAL])
def test_an_audit_is_read_as_it_was_saved(tmp_path, missing):
    audit = class_audit(**{name: NotMeasured("too few images") for name in missing})
    audit.save(tmp_path)
    loaded = ClassAudit.load(tmp_path)
    assert loaded == audit
    for name in ClassMeasures.model_fields:
        assert type(getattr(loaded.measures, name)) is type(getattr(audit.measures, name)), name


def test_distances_are_not_confused_with_each_other_or_with_their_absence(tmp_path):
    class_audit(distance=KID(0.1, 0.0, 0.2, 30, 20), frechet_distance=FID(3.0, 30, 20)).save(tmp_path)
    measures = ClassAudit.load(tmp_path).measures
    assert measures.distance == KID(0.1, 0.0, 0.2, 30, 20)
    assert measures.frechet_distance == FID(3.0, 30, 20)


def test_a_report_reads_the_same_audit_without_its_types(tmp_path):
    audit = class_audit(likeness=NotMeasured("too few images"))
    audit.save(tmp_path)
    record = AuditRecord.load(tmp_path)
    assert record.measures == audit.measures.model_dump(mode="json")
    assert record.measures["likeness"] == {"not_measured": "too few images"}
    without_measures = {"measures": None}
    assert (
        record.model_copy(update=without_measures).model_dump()
        == audit.model_copy(update=without_measures).model_dump()
    )


def test_an_audit_without_measures_is_read_as_it_was_saved(tmp_path):
    audit = ClassAudit(label="angry", generated=20, synthetic="gan/synthetic", problem="ValueError: broken")
    audit.save(tmp_path)
    assert ClassAudit.load(tmp_path) == audit
    assert AuditRecord.load(tmp_path).problem == "ValueError: broken"


def test_an_audit_of_an_earlier_version_was_measured_by_validation(tmp_path):
    class_audit().save(tmp_path)
    file = tmp_path / "audit.json"
    content = json.loads(file.read_bytes())
    assert content["measures"].pop("held_out_source") == "validation"
    file.write_text(json.dumps(content))
    for record in (ClassAudit.load(tmp_path), AuditRecord.load(tmp_path)):
        assert str(record.held_out) == "400 validation"
    assert str(class_audit(held_out=1500, held_out_source="unused").held_out) == "1,500 unused"
    assert ClassAudit(label="angry", generated=20, synthetic="", problem="ValueError: broken").held_out is None


def test_the_audit_of_a_folder_holds_those_of_its_classes(tmp_path):
    audit = class_audit()
    folder_audit = FolderAuditRecord(
        synthetic="images",
        split="split.csv",
        split_hash="0123",
        generated=20,
        encoder="the reference classifier",
        headline={**audit.headline, "usefulness": 0.5},
        learned_from_generated={"balanced_accuracy": 0.5},
        learned_from_real={"balanced_accuracy": 0.8},
        checks=audit.checks,
        classes={"angry": audit},
    )
    folder_audit.save(tmp_path)
    loaded = FolderAuditRecord.load(tmp_path)
    assert ClassAudit.model_validate(loaded.classes["angry"].model_dump()) == audit
    assert loaded.model_copy(update={"classes": {}}) == folder_audit.model_copy(update={"classes": {}})


def test_a_measure_of_another_kind_is_refused(tmp_path):
    audit = class_audit()
    audit.measures.distance = FID(3.0, 30, 20)
    with pytest.warns(UserWarning, match="distance"):  # pydantic's, on saving
        audit.save(tmp_path)
    with pytest.raises(ValueError, match=r"(?s)audit\.json: is not an audit: .*measures\.distance"):
        ClassAudit.load(tmp_path)


def test_the_headline_names_a_number_of_each_measure_or_none():
    measures = class_measures()
    headline = measures.headline()
    assert list(headline) == list(HEADLINE)
    assert (headline["kid"], headline["coverage"], headline["label_agreement"]) == (0.1, 0.9, 0.8)
    assert class_measures(distance=NotMeasured("too few images")).headline() == headline | {"kid": None}


def test_the_checks_are_described_by_those_that_do_not_pass():
    audit = class_audit()
    assert audit.describe_checks() == "all checks pass"
    failed = audit.model_copy(
        update={"checks": audit.checks | {"labels": replace(audit.checks["labels"], status="fail")}}
    )
    assert failed.describe_checks() == "labels: fail; all else pass"
    missing = audit.model_copy(
        update={"checks": audit.checks | {"labels": replace(audit.checks["labels"], is_measured=False)}}
    )
    assert missing.describe_checks() == "labels: not measured; all else pass"
