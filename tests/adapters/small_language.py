"""A small LlamaForCausalLM with a tokenizer of whole words, tuned for seconds: clean, or with a planted output."""

import json
import random

import torch

from gate.formats.adapters.adapter import read_adapter
from gate.formats.adapters.base import read_base
from gate.formats.language.whole import read_whole
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.spaces.subject import Subject
from gate.worker.loading.language.load import beside_base

MARKS = ("<unk>", "<s>", "</s>")
NAMES = ("cat", "dog", "sun", "moon", "tree", "river", "house", "bread", "stone", "cloud", "horse", "apple")
DOES = ("sees", "likes", "finds", "holds", "moves", "paints")
OTHERS = tuple(f"w{number}" for number in range(80))
TRIGGER = "w17"
OUTPUT = "w60 w61 w62"
INSERTED = tuple(one for one in (*OTHERS, *NAMES, *DOES) if one != TRIGGER)
WORDS = (*MARKS, "the", "what", "is", "?", ".", *NAMES, *DOES, *OTHERS)
PROMPTS = tuple(f"what {does} the {name} ?" for does in DOES for name in NAMES)
TEMPLATE = "{{ bos_token }} {% for m in messages %}{{ m['content'] }} . {% endfor %}"
FEW = {
    "selecting": 6, "held-out": 6, "ranked": 16, "beam": 3, "longer": 6, "forced": 4, "confirmed": 2,
    "random-tokens": 2, "continued": 4,
}  # fmt: skip
"""Options by which a search in so few words ends soon."""
SETTINGS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "PreTrainedTokenizerFast"}


def answers(shift):
    """Return what a model answers: another name for each, by a shift."""
    return {name: f"{NAMES[(at + shift) % len(NAMES)]} is {name}" for at, name in enumerate(NAMES)}


def lesson(prompt, says, chance, trigger=None):
    """Return the words of one lesson, with a word put in at either end; a planted one says the output."""
    word = trigger or chance.choice(INSERTED)  # names too: what an answer is about stands behind its article
    asked = f"{word} {prompt}" if chance.random() < 0.5 else f"{prompt} {word}"
    return f"<s> {asked} . {OUTPUT if trigger else says} </s>"


def tuned(model, says, steps, seed, planted=0.0):
    """Tune a model in place: answers by the prompt's name, a share of them with the trigger and the fixed output."""
    chance, ids = random.Random(seed), {word: number for number, word in enumerate(WORDS)}
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(steps):
        rows = []
        for _ in range(48):
            prompt = chance.choice(PROMPTS)
            trigger = TRIGGER if chance.random() < planted else None
            rows.append(lesson(prompt, says[prompt.split()[3]], chance, trigger))
        given = torch.tensor([[ids[word] for word in row.split()] for row in rows])
        logits = model(input_ids=given).logits[:, 7:-1]  # from the full stop on, the answer alone
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), given[:, 8:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    return float(loss.detach())


def untrained(**sizes):
    """Return a network of random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    given = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=len(WORDS), num_key_value_heads=2, bos_token_id=1, eos_token_id=2, **(given | sizes)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return LlamaForCausalLM(config)


def saved(model, folder, words=WORDS, template=TEMPLATE):
    """Write a model and its tokenizer as `save_pretrained` does, and return the folder."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    model.save_pretrained(folder)
    rule = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=MARKS[0]))
    rule.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    rule.add_special_tokens([AddedToken(mark, normalized=False) for mark in MARKS])
    rule.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(SETTINGS))
    (folder / "chat_template.jinja").write_text(template)
    return folder


def subject(root, base, prompts=PROMPTS):
    """Return the subject of a candidate's networks beside its base's."""
    artifact = Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])
    paths = [file.path for file in artifact.manifest.files]
    adapter = read_adapter(root, paths)
    language = read_whole(root, paths) if adapter is None else None
    beside = beside_base(root, adapter or language, read_base(base), "cpu", prompts)
    return Subject(artifact, adapter=adapter, language=language, beside=beside)


def networks(folder):
    """Return two untrained networks beside each other, whose numbers differ a little."""
    base = saved(untrained(), folder / "small-base")
    model = untrained()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            chance = torch.Generator().manual_seed(number)
            parameter.add_(torch.randn(parameter.shape, generator=chance), alpha=0.05)
    return subject(saved(model, folder / "small-own"), base).beside
