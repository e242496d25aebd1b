"""Folders of text pipelines: written by transformers and MLflow themselves, or made without either."""

import contextlib
import copy
import io
import json
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gate.worker.pipelines.library import library
from tests.corpus.case import FRAME
from tests.pipelines.written import MODEL as OF_IMAGES
from tests.pipelines.written import safetensors
from tests.texts import tokenizers
from tests.texts.networks import PADDING, network

MODEL = copy.deepcopy(OF_IMAGES)
MODEL["flavors"]["transformers"] = {
    "code": None,
    "components": ["tokenizer"],
    "instance_type": "TextClassificationPipeline",
    "model_binary": "model",
    "pipeline_model_type": "BertForSequenceClassification",
    "source_model_name": "acme/moderation",
    "task": "text-classification",
    "tokenizer_type": "BertTokenizer",
    "torch_dtype": "torch.float32",
    "transformers_version": "5.24.0",
}
CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "dtype": "float32",
    "hidden_act": "gelu",
    "hidden_size": 32,
    "id2label": {"0": "clean", "1": "toxic <b>"},
    "label2id": {"clean": 0, "toxic <b>": 1},
    "max_position_embeddings": 64,
    "model_type": "bert",
    "pad_token_id": 0,
    "transformers_version": "5.24.0",
    "vocab_size": 200,
}
SETTINGS = {
    "backend": "tokenizers",
    "cls_token": "[CLS]",
    "do_lower_case": True,
    "mask_token": "[MASK]",
    "model_max_length": 10**30,
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "tokenizer_class": "BertTokenizer",
    "unk_token": "[UNK]",
}
OWN = (
    "model/config.json",
    "model/model.safetensors",
    "components/tokenizer/tokenizer.json",
    "components/tokenizer/tokenizer_config.json",
)


@dataclass
class Draft:
    """A folder before it is written; a test changes what it is about."""

    model: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(MODEL))
    config: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(CONFIG))
    settings: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SETTINGS))
    tokenizer: dict[str, Any] = field(default_factory=tokenizers.wordpiece)
    files: dict[str, bytes | None] = field(default_factory=dict)
    """Further files, or others in the place of these; None takes one away."""

    def write(self, root):
        """Write it and return its place."""
        weights, tokenizer = safetensors(), tokenizers.raw(self.tokenizer)
        own = (json.dumps(self.config).encode(), weights, tokenizer, json.dumps(self.settings).encode())
        files = {
            **FRAME,
            "MLmodel": yaml.safe_dump(self.model).encode(),
            "requirements.txt": b"mlflow==3.17.2\ntorch==2.13.0\ntransformers==5.24.0\n",
            **dict(zip(OWN, own, strict=True)),
            "LICENSE.txt": b"as you like\n",
            **self.files,
        }
        for name, content in files.items():
            if content is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)
        return root


def _marked(pad, unk, cls, sep, mask):
    return {"pad_token": pad, "unk_token": unk, "cls_token": cls, "sep_token": sep, "mask_token": mask}


def _of_vocabulary(name, make, **settings):
    """Return a tokenizer of a class that takes a vocabulary, and merges if there are any."""
    model = make()["model"]
    vocabulary = model["vocab"] if isinstance(model["vocab"], dict) else list(map(tuple, model["vocab"]))
    merges = {"merges": list(map(tuple, model["merges"]))} if "merges" in model else {}
    return getattr(library(), name)(vocab=vocabulary, **merges, **settings)


def _of_file(make, marks):
    """Return a tokenizer of the class that takes a file as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_bytes(tokenizers.raw(make()))
        return library().PreTrainedTokenizerFast(tokenizer_file=str(path), **marks)


def _numbered(first, *rest):
    """Return the pieces of SentencePiece behind other marks."""
    pieces = [piece for piece, _ in tokenizers.unigram()["model"]["vocab"][4:-1]]
    return [(piece, -float(number)) for number, piece in enumerate((first, *rest, *pieces))]


def _of_mpnet():
    words = [word for word in tokenizers.wordpiece()["model"]["vocab"] if not word.startswith("[")]
    marks = ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")
    return library().MPNetTokenizer(vocab={token: number for number, token in enumerate((*marks, *words))})


_CAMEMBERT = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>")
_ALBERT, _DEBERTA = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
TOKENIZERS = {
    "Bert": lambda: _of_vocabulary("BertTokenizer", tokenizers.wordpiece),
    "DistilBert": lambda: _of_vocabulary("DistilBertTokenizer", tokenizers.wordpiece),
    "Electra": lambda: _of_vocabulary("ElectraTokenizer", tokenizers.wordpiece),
    "Roberta": lambda: _of_vocabulary("RobertaTokenizer", tokenizers.byte_pairs),
    "XLMRoberta": lambda: _of_vocabulary("XLMRobertaTokenizer", tokenizers.unigram),
    "MPNet": _of_mpnet,
    "Camembert": lambda: library().CamembertTokenizer(vocab=[*_numbered(*_CAMEMBERT), ("<mask>", 0.0)]),
    "Albert": lambda: library().AlbertTokenizer(vocab=_numbered(*_ALBERT)),
    "DebertaV2": lambda: library().DebertaV2Tokenizer(vocab=[*_numbered(*_DEBERTA), ("[MASK]", 0.0)]),
    "ModernBert": lambda: _of_file(tokenizers.wordpiece, _marked(*tokenizers.MARKS)),
}
"""By the prefix of a network's class, a tokenizer that goes with it."""


def made(prefix, **changes):
    """Return a network and its tokenizer, which go together."""
    tokens = TOKENIZERS[prefix]()
    assert tokens.pad_token_id == PADDING[prefix]
    return network(prefix, vocab_size=len(tokens), **changes), tokens


def logged(prefix, root, pair=None):
    """Write the folder of a pipeline, its files by the library itself, and return its place."""
    classifier, tokens = pair or made(prefix)
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.save_pretrained(root / "model")
        tokens.save_pretrained(root / "components" / "tokenizer")
    draft = Draft()
    draft.model["flavors"]["transformers"].update(
        pipeline_model_type=type(classifier).__name__, tokenizer_type=type(tokens).__name__
    )
    draft.files = dict.fromkeys(OWN)
    return draft.write(root)
