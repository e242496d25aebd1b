"""The CycloneDX bill: valid by CycloneDX's own library, and claiming no more than was said."""

import json

import pytest
import reports

from gate.records.previous import PreviousEvidence, VersionEvidence
from gate.renderers.cyclonedx import render

NAMES = ["approved", "flagged", "unfinished", "without_anything", "of_text", "bundle_alone"]


def bom(report):
    """Return a report's bill."""
    return json.loads(render(report))


def refs(value):
    """Yield every `bom-ref` below a value."""
    if isinstance(value, dict):
        yield from ([value["bom-ref"]] if "bom-ref" in value else [])
        for child in value.values():
            yield from refs(child)
    elif isinstance(value, list):
        for child in value:
            yield from refs(child)


@pytest.fixture(scope="module")
def validator():
    """Return CycloneDX's own validator by the strict schema of 1.6."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6)


@pytest.mark.parametrize("name", [*NAMES, "hostile"])
def test_cyclonedx_own_library_finds_no_fault(name, validator):
    """Strictly by its schema; hostile texts too."""
    report = reports.hostile("</script>\u202e ::error::\x1b[31m") if name == "hostile" else getattr(reports, name)()
    assert validator.validate_str(render(report)) is None


def test_that_library_does_find_a_fault(validator):
    """A bill with a key that the schema has not is refused, so that the validator is known to look."""
    assert validator.validate_str(json.dumps(bom(reports.approved()) | {"unknown": 1})) is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_reference_leads_somewhere_and_is_one(name):
    """Claims name evidence, targets and requirements that are there; no name stands twice."""
    made = bom(getattr(reports, name)())
    known = list(refs(made))
    assert len(set(known)) == len(known)
    said = made.get("declarations", {})
    for claim in said.get("claims", []):
        assert {claim["target"], *claim["evidence"]} <= set(known)
    for row in (row for one in said.get("attestations", []) for row in one["map"]):
        assert {row["requirement"], *row["claims"]} <= set(known)


def test_a_threat_conforms_only_where_it_was_looked_for_and_not_found():
    """Detected, waived and not examined have the score nought, and the rationale says which it was."""
    report = reports.flagged()
    made = bom(report)
    scores = {
        row["claims"][0]: row["conformance"]["score"]
        for one in made["declarations"]["attestations"]
        for row in one["map"]
    }
    for threat in report.verdict.threats:
        assert scores[f"threat-{threat.id}"] == (1.0 if threat.status == "not-detected" else 0.0)
    assert scores["limit-neural-cleanse-anomaly-index-max"] == 0.0
    assert "is safe" not in render(report)


def test_the_pedigree_names_what_it_was_compared_with_and_repaired_from():
    """The version that serves now is told apart from earlier ones."""
    report = reports.approved(
        previous=PreviousEvidence(
            asked="models:/credit@champion",
            versions=(
                VersionEvidence(uri="models:/credit/3", digest=reports.digest("9"), serves=True, approved="no"),
                VersionEvidence(uri="models:/credit/2", digest=reports.digest("8"), serves=False, approved="tag"),
            ),
        )
    )
    ancestors = bom(report)["metadata"]["component"]["pedigree"]["ancestors"]
    said = [(one["name"], one["properties"][0]["value"]) for one in ancestors]
    assert said == [("models:/credit/3", "serves-now"), ("models:/credit/2", "earlier-version")]


def test_the_same_report_has_the_same_bill():
    """The serial number is made of the verdict's digests."""
    assert render(reports.approved()) == render(reports.approved())
    report = reports.approved()
    other = report.verdict.model_copy(update={"evidence_digest": reports.digest("9")})
    assert bom(report)["serialNumber"] != bom(report.model_copy(update={"verdict": other}))["serialNumber"]
