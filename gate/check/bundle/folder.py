"""The texts of a bundle's folder: the files beside `data/model.pt2` with which MLflow's loaders open it.

They are what `mlflow.pytorch.save_model(serialization_format="pt2")` of MLflow 3.17 writes, without the values that
change with each writing and that no loader needs: `model_uuid`, `model_id` and `run_id` (a registry gives a version its
own), `utc_time_created` (MLflow then takes the time of opening), `model_size_bytes` (only displayed), `artifact_path`,
`prompts` and `metadata`. `mlflow_version` is the pinned version, and every requirement is exact.

Two values differ from MLflow's (`gate.check.bundle.losses` states both). `config: {device: cpu}`: the tensors are on
the CPU, and with null `mlflow.pyfunc` takes a GPU where it finds one, and then refuses the program. A signature's
`params` are left out: `mlflow.pyfunc` passes their defaults as keywords, which no exported program takes.

A bundle holds neither the candidate's name, version, run and description nor anything of the scan.
"""

import json
from typing import Any, Final

from gate import VERSION
from gate.check.bundle.environment import (
    CONDA,
    VIRTUALENV,
    environment_texts,
    opens_with,
    pins,
    python_version,
    to_yaml,
    torch_version,
)
from gate.check.bundle.example import Example, example_of
from gate.check.bundle.losses import losses_of
from gate.formats.mlflow_folder import LABELS, TOKENIZER
from gate.records.provenance import PROVENANCE, Provenance, RepairOrigin
from gate.records.runtime import Runtime
from gate.records.written_program import Written

PROGRAM: Final = "data/model.pt2"
MLMODEL: Final = "MLmodel"


def bundle_texts(written: Written, runtime: Runtime, repair: RepairOrigin | None = None) -> dict[str, bytes]:
    """Return every text of the folder by its path; equal arguments give equal bytes."""
    example = example_of(written)
    return {
        MLMODEL: to_yaml(_mlmodel(written, runtime, example)),
        **environment_texts(runtime, tokens=written.tokenizer is not None),
        **(example.files if example else {}),
        **(_labels(written) if written.tokenizer else {}),
        PROVENANCE: _provenance(written, repair).pretty_json().encode(),
    }


def _mlmodel(written: Written, runtime: Runtime, example: Example | None) -> dict[str, Any]:
    (mlflow, *_) = pins(runtime)
    flavors: dict[str, Any] = {"pytorch": {"code": None, "model_data": "data", "pytorch_version": torch_version()}}
    if written.tokenizer:
        flavors["pytorch"]["extra_files"] = [{"path": path} for path in sorted((*_labels(written), TOKENIZER))]
    if len(written.inputs) == 1:  # mlflow.pyfunc passes one input; for several MLflow writes no such flavour either
        flavors["python_function"] = {
            "config": {"device": "cpu"},
            "data": "data",
            "env": {"conda": CONDA, "virtualenv": VIRTUALENV},
            "loader_module": "mlflow.pytorch",
            "pickle_module_name": "mlflow.pytorch.pickle_module",
            "python_version": python_version(runtime),
        }
    mlmodel: dict[str, Any] = {"flavors": flavors, "mlflow_version": mlflow.partition("==")[2]}
    signature = written.signature.without_params() if written.signature else None
    if signature is not None:
        mlmodel["signature"] = signature.texts()
        mlmodel["is_signature_from_type_hint"] = mlmodel["type_hint_from_example"] = False
    if example is not None:
        mlmodel["saved_input_example_info"] = example.info
    return mlmodel


def _labels(written: Written) -> dict[str, bytes]:
    """Return the file of the classes' names by number, for consumers of texts; none where there are no names."""
    names = {str(number): name for number, name in sorted(written.class_names.items())}
    return {LABELS: json.dumps(names, indent=1).encode()} if names else {}


def _provenance(written: Written, repair: RepairOrigin | None) -> Provenance:
    """Return what the bundle was made of; a repaired model's parent is named by its digest, not by its version."""
    return Provenance(
        made_by=f"gate {VERSION}",
        origin=written.origin,
        parent=written.parent,
        torch=torch_version(),
        opens_with=opens_with(),
        losses=losses_of(written),
        repair=repair.model_copy(update={"parent": repair.parent_digest}) if repair else None,
    )
