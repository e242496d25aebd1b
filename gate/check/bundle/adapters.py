"""The bundle of an adapter: MLflow's folder around the writer's tensors, which names no base that a loader finds.

It is what `mlflow.transformers.save_model(base_model_path=…)` of MLflow 3.17 writes, without `python_function`, whose
loader takes no path of a base. A consumer passes `base_model_path`, or puts the base where the bundle looks for it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gate import VERSION
from gate.check.bundle.compose import Bundle
from gate.check.bundle.environment import adapter_pins, environment_of, to_yaml
from gate.check.bundle.folder import MLMODEL
from gate.check.evidence import ScanRequest
from gate.formats.adapters import config, tensors
from gate.formats.adapters.places import FOLDER, KEY, TASK
from gate.records.adapters import TOKENIZER_FOLDER, Base
from gate.records.artifact import EVERY_FILE, build_manifest, make_read_only
from gate.records.bundle import BundleFacts
from gate.records.facts import PIPELINES
from gate.records.provenance import PROVENANCE, Provenance
from gate.records.written_adapter import WrittenAdapter

TENSORS: Final = f"{FOLDER}/{tensors.NAME}"
TOKENIZER: Final = f"{TOKENIZER_FOLDER}/tokenizer.json"
BASE_AT: Final = "/base-model"
"""Where a consumer's loader looks for the base that nobody passes: a path that is no name on a hub."""


def compose_adapter(root: Path, written: WrittenAdapter, request: ScanRequest) -> Bundle | str:
    """Write the texts beside the writer's files in `root`; return the bundle, or why not."""
    runtime, base = request.policy.runtime, request.pulled.base
    pins = adapter_pins(runtime)
    versions = dict(line.split("==") for line in pins)
    lost = tuple(_losses(written, base))
    opens = {name: versions[name] for name in ("mlflow", "peft", "transformers") if name in versions}
    texts = {
        MLMODEL: to_yaml(_mlmodel(written, versions)),
        **environment_of(runtime, pins),
        f"{FOLDER}/{config.NAME}": written.config.encode(),
        **{f"{TOKENIZER_FOLDER}/{name}": text.encode() for name, text in written.texts.items()},
        PROVENANCE: Provenance(
            made_by=f"gate {VERSION}",
            origin="adapter",
            parent=written.parent,
            base=base.weights_digest if base else "",
            opens_with=opens,
            losses=lost,
        )
        .pretty_json()
        .encode(),
    }
    for path, raw in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(raw)
    manifest, problems = build_manifest(root, ignored=EVERY_FILE)
    found = {file.path: file.sha256 for file in manifest.files}
    if problems or found.get(TENSORS) != written.tensors_sha256 or found.get(TOKENIZER) != written.tokenizer_sha256:
        return "the files beside the writer's result are not those that the result names."
    make_read_only(root)
    present = {file.path for file in request.pulled.files}
    facts = BundleFacts(
        origin="adapter",
        parent=written.parent,
        torch="",
        opens_with=opens,
        pinned=versions,
        losses=lost,
        left=tuple(path[:2000] for path in sorted(present - set(found))[:200]),
    )
    return Bundle(root, manifest, facts)


def _mlmodel(written: WrittenAdapter, versions: dict[str, str]) -> dict[str, Any]:
    flavour: dict[str, Any] = {
        "code": None,
        "components": ["tokenizer"] if written.tokenizer_sha256 else [],
        "instance_type": "TextGenerationPipeline",
        "local_base_model_path": BASE_AT,
        KEY: FOLDER,
        "pipeline_model_type": written.network,
        "source_model_name": BASE_AT,
        "task": TASK,
        "transformers_version": versions["transformers"],
    }
    if written.number_type:
        flavour["torch_dtype"] = written.number_type
    if written.tokenizer_sha256 and written.tokenizer_type:
        flavour["tokenizer_type"] = written.tokenizer_type
    return {"flavors": {PIPELINES: flavour}, "mlflow_version": versions["mlflow"]}


def _losses(written: WrittenAdapter, base: Base | None) -> Iterator[str]:
    weights = f"the weights {base.weights_digest}" if base else "weights that nobody named here"
    yield (
        "The bundle names no base: mlflow.transformers.load_model(uri, base_model_path=FOLDER) loads it with one, or "
        f"a base at {BASE_AT}. It was examined for {weights}."
    )
    yield (
        "It has no mlflow.pyfunc flavour, whose loader takes no path of a base; settings of generation, a prompt "
        "template and a signature are left behind."
    )
    if written.tokenizer_sha256 is None:
        yield "It holds no tokenizer: take the base's. PEFT loads its folder peft/ onto the base."
