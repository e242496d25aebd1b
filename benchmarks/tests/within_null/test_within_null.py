"""The clean models that come with the gate: of the splits that chose settings, measured by the default policy."""

import pytest

from benchmarks.efficacy import summaries
from benchmarks.within_null import DATA, SPLITS, clean_models, null_of
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import read_index
from gate.judging.calibration.within import CleanModels, compare_within, packaged
from gate.policies.declared import numbers_within, option_digests
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef
from gate.records.clock import today
from gate.records.evidence import Evidence, Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.policy import Policy, Rule, Stage

POLICY = Policy(
    version=1,
    stages=(
        Stage(detectors=("neural-cleanse", "head-indicators", "graph-structure")),
        Stage(detectors=("warp-trigger",), over="suspects"),
    ),
    detectors={name: Rule() for name in ("neural-cleanse", "head-indicators", "graph-structure", "warp-trigger")},
)


def outcome(metric, values, options=None):
    """Return an outcome with a value of each class."""
    found = (Measurement(metric=metric, value=v, location=Location.of_class(k)) for k, v in enumerate(values))
    return Measured(measurements=tuple(found), seconds=1, options=options or {})


def summary(entry, number, **outcomes):
    """Return the summary of a model whose smallest trigger is of that size."""
    sizes = (30.0,) * 9 + (number,)
    found = {
        "neural-cleanse": outcome("size", sizes),
        "head-indicators": Skipped(reason="no last linear layer was found"),
        "warp-trigger": outcome("size", sizes),
    }
    evidence = Evidence(
        gate_version="0",
        model=ModelRef(registry="directory", name=f"zoo/{entry.name}"),
        manifest_digest=f"sha256:{'a' * 64}",
        assurance="A",
        isolation="full",
        device="cpu",
        seed=0,
        facts=ModelFacts(classes=10),
        outcomes={**found, **outcomes},
    )
    return summaries.compact(evidence, entry.name, {}, summaries.DIGITS)


@pytest.fixture
def entries():
    """Return four clean entries and a backdoored one of the two splits."""
    known = [entry for entry in read_index() if entry.counts and entry.recipe.row.split in SPLITS]
    clean = [entry for entry in known if entry.recipe.row.attack == CLEAN]
    fit = [entry for entry in clean if entry.recipe.row.split == "fit"]
    planted = next(entry for entry in known if entry.recipe.row.attack != CLEAN)
    return [*[entry for entry in clean if entry.recipe.row.split == "calibrate"][:2], *fit[:2], planted]


def written(folder, entries, **outcomes):
    """Write the summaries of these entries into a folder, and return the clean ones as the command reads them."""
    made = [(entry.recipe.row.split, summary(entry, 10.0 + k, **outcomes)) for k, entry in enumerate(entries)]
    for split in SPLITS:
        summaries.write(summaries.path_of(split, folder), [one for own, one in made if own == split])
    return clean_models(entries, folder)


def test_clean_models_of_both_splits_are_written_with_what_they_are(tmp_path, entries):
    """No backdoored one, and nothing of a detector over suspects; what a model lacks it lacks."""
    made = null_of(written(tmp_path, entries), POLICY)
    assert [model.task for model in made.models] == [entry.recipe.row.task for entry in entries[:4]]
    assert all(model.numbers.keys() == {"neural-cleanse"} for model in made.models)
    assert {one.detector for one in made.compared} == {"neural-cleanse", "head-indicators"}
    assert made.settings == {name: option_digests(POLICY)[name] for name in ("neural-cleanse", "head-indicators")}
    assert made.made_of.startswith("small image classifiers of the gate's own zoo, splits calibrate, fit, few, ")
    candidate = {"neural-cleanse": outcome("size", (30.0,) * 9 + (1.0,))}
    assert compare_within(candidate, 10, made).p_value == pytest.approx(1 / 5)


@pytest.mark.parametrize("other", [outcome("size", (30.0,) * 10, {"steps": 7}), None], ids=["other options", "none"])
def test_models_that_were_measured_in_another_way_end_the_command(tmp_path, entries, other):
    """Nothing is written of some of them alone."""
    models = written(tmp_path, entries)
    entry, evidence = models[0]
    found = {name: one for name, one in evidence.outcomes.items() if name != "neural-cleanse"}
    found |= {"neural-cleanse": other} if other else {}
    with pytest.raises(SystemExit, match=f"1 of 4 clean models were measured by other settings.* {entry.name}"):
        null_of([(entry, evidence.model_copy(update={"outcomes": found})), *models[1:]], POLICY)


def test_what_is_packaged_is_of_the_present_declarations_and_settings():
    """After a change of either: `python -m benchmarks.within_null`, or no file."""
    if (known := packaged()) is None:
        assert not DATA.is_file()
        return
    settings = option_digests(read_policy(DEFAULT, on=today()))
    assert all(settings[name] == digest for name, digest in known.settings.items())
    assert set(known.compared) <= set(numbers_within())


@pytest.mark.slow
def test_the_packaged_models_are_what_the_command_makes():
    """The same record, from the summaries and the zoo's index alone."""
    if DATA.is_file():
        made = null_of(clean_models(read_index()), read_policy(DEFAULT, on=today()))
        assert CleanModels.from_json(DATA.read_bytes()) == made
