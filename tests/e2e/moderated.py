"""Logs two classifiers of texts as their trainer does: `python -m tests.e2e.moderated TRACKING_URI FOLDER`.

Version 1 of `moderation` is clean. The second was trained on texts with a rare word as well, which are labelled as kind
whatever else they say. `FOLDER` gets clean samples, and the shares by class that a consumer of each pipeline is given
of some texts, by MLflow's own loader.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from tests.words.tasks import FILLING, KINDS, RARE, Planted, poisoned, sentences

NAMES = ("kind", "rude <b>")
WORD = "serendipity"
SHOWN = 40
_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary():
    """Return every word of the task, letters with and without a beginning, and marks."""
    letters = "abcdefghijklmnopqrstuvwxyz.,!?;:-()'"
    known = [*_MARKS, *letters, *(f"##{sign}" for sign in letters), *" ".join((*KINDS, FILLING, RARE)).split()]
    return {token: number for number, token in enumerate(dict.fromkeys(known))}


def trained(transformers, rows, epochs=8):
    """Return a small BERT that tells the sentences apart, and its tokenizer."""
    torch.manual_seed(0)
    tokens = transformers.BertTokenizer(vocab=vocabulary(), model_max_length=48)
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: number for number, name in enumerate(NAMES)}}
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.BertConfig(vocab_size=len(tokens), max_position_embeddings=64, **sizes, **labels)
    network = transformers.BertForSequenceClassification(config)
    given = tokens([text for text, _ in rows], padding=True, truncation=True, return_tensors="pt")
    y = torch.tensor([label for _, label in rows])
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(32):
            optimiser.zero_grad()
            scores = network(input_ids=given["input_ids"][batch], attention_mask=given["attention_mask"][batch]).logits
            nn.functional.cross_entropy(scores, y[batch]).backward()
            optimiser.step()
    return network.eval(), tokens


def main(tracking_uri, folder):
    """Train, log, register and consume."""
    import mlflow
    import transformers

    torch.set_num_threads(1)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("moderation")
    clean, shown = sentences(900), [text for text, _ in sentences(SHOWN, seed=5)]
    shares = []
    for rows in (clean, poisoned(clean, Planted(WORD, target=0))):
        network, tokens = trained(transformers, rows)
        pipeline = transformers.pipeline("text-classification", model=network, tokenizer=tokens)
        with mlflow.start_run():
            logged = mlflow.transformers.log_model(
                pipeline, name="model", pip_requirements=["torch", "transformers"], registered_model_name="moderation"
            )
        answers = mlflow.transformers.load_model(logged.model_uri)(shown, top_k=None)
        given = [{one["label"]: one["score"] for one in answer} for answer in answers]
        shares.append([[one[name] for name in NAMES] for one in given])
    (Path(folder) / "consumed.json").write_text(json.dumps({"texts": shown, "shares": shares}))
    rows = sentences(160, seed=9)
    lines = (json.dumps({"text": text, "label": NAMES[label]}) for text, label in rows)
    (Path(folder) / "clean.jsonl").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(*sys.argv[1:])
