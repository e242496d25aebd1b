"""The bundles that consumers hold open in the installed torch and MLflow, and the page says what was tried."""

import contextlib
import json
import logging
import warnings

import pytest

from gate.check.bundle.environment import opens_with
from gate.programs import read_program
from gate.records.runtime import OLDEST
from tests.bundle_opens import corpus, opening
from tests.bundle_opens.programs import PROGRAMS
from tests.bundle_opens.table import OPENED, PAGE, ROWS, oldest, read_results, with_table


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the packed bundles, laid out."""
    return corpus.unpack(tmp_path_factory.mktemp("bundles"))


@contextlib.contextmanager
def quiet():
    """Leave MLflow's remarks on versions and imports out: they are errors here, and a consumer sees them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "load", [opening.by_torch, opening.by_pytorch, opening.by_pyfunc], ids=lambda load: load.__name__
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_earlier_bundle_still_opens(name, load, folders):
    """What a deployer holds already is opened by today's torch and MLflow, with the outputs it was written with."""
    given = json.loads((folders / name / corpus.EXPECTED).read_text())
    with quiet():
        said = opening.tried(load, folders / name / "bundle", given)
    if (name, load) == ("bfloat16", opening.by_pyfunc):
        assert said == "TypeError: Got unsupported ScalarType BFloat16"
    else:
        assert said in OPENED


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_earlier_bundle_is_still_read(name, folders):
    """The strict reader reads what an earlier writer wrote: `gate rescan` meets it in production."""
    assert read_program(folders / name / "bundle" / "data" / "model.pt2").inputs


def test_the_page_shows_what_was_tried():
    """The table of the page is that of the results, every row of it."""
    assert PAGE.read_text() == with_table(PAGE.read_text(), read_results())
    assert read_results().keys() == {row.name for row in ROWS}


def test_the_constants_are_what_was_tried():
    """The oldest releases are the first from which every program opened, and the page names them."""
    results = read_results()
    assert oldest(results, "torch", ["torch"]) == OLDEST["torch"]
    assert oldest(results, "mlflow", ["pytorch", "pyfunc"]) == OLDEST["mlflow"]
    assert opens_with() == OLDEST
    assert f"**torch {OLDEST['torch']}** or newer and **MLflow {OLDEST['mlflow']}** or newer" in PAGE.read_text()
