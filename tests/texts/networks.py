"""Tiny classifiers of texts of transformers with weights of chance, and programs that torch exports of them."""

import torch

from gate.worker.pipelines.library import library

VOCABULARY, CLASSES, POSITIONS = 120, 3, 64
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}
_OFFSET = {**_SIZES, "max_position_embeddings": POSITIONS + 2, "pad_token_id": 1}
"""Networks that count positions from behind the padding's id on."""
_DISTILLED = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16, "share_att_key": True}
_ROTARY = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
NETWORKS = {
    "Bert": _SIZES,
    "DistilBert": _DISTILLED,
    "Roberta": _OFFSET,
    "Electra": {**_SIZES, "embedding_size": 16},
    "Albert": {**_SIZES, "embedding_size": 16},
    "MPNet": _OFFSET,
    "XLMRoberta": _OFFSET,
    "Camembert": _OFFSET,
    "DebertaV2": {**_SIZES, **_RELATIVE, "norm_rel_ebd": "layer_norm", "position_biased_input": False},
    "ModernBert": {**_SIZES, **_ROTARY, "local_attention": 8},
}
"""Settings by the prefix of the network's class."""
PADDING = {prefix: settings.get("pad_token_id", 0) for prefix, settings in NETWORKS.items()}


def network(prefix, seed=0, **changes):
    """Return a network whose scores differ from text to text."""
    transformers = library()
    labels = {number: f"class {number} <b>" for number in range(CLASSES)}
    named = {"id2label": labels, "label2id": {label: number for number, label in labels.items()}}
    settings = {"vocab_size": VOCABULARY, **NETWORKS[prefix], **named, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = getattr(transformers, f"{prefix}Config")(**settings)
        made = getattr(transformers, f"{prefix}ForSequenceClassification")(config).eval()
        for parameter in made.parameters():
            parameter.requires_grad_(requires_grad=False)
            if parameter.ndim > 1:  # the library's own beginnings are so small that all texts look alike
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    return made


class Scores(torch.nn.Module):
    """A network that is given ids (N, L) and mask by position, and returns logits (N, K)."""

    def __init__(self, body):
        """Hold the network."""
        super().__init__()
        self.body = body

    def forward(self, input_ids, attention_mask):
        """Return the class scores before the softmax."""
        return self.body(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).logits


def tokens(count, length, padding=0, seed=1):
    """Return ids (N, L) and their mask: each text but the first is shorter than the one before."""
    ids = torch.randint(5, VOCABULARY, (count, length), generator=torch.Generator().manual_seed(seed))
    lengths = (length - torch.arange(count) * (length // count)).clamp(min=1)
    mask = (torch.arange(length) < lengths[:, None]).long()
    return torch.where(mask == 1, ids, padding), mask


def export(module, path, *, given=None, free=True):
    """Save a module of ids and mask by torch's own exporter, with free or with fixed sizes."""
    given = given or tokens(3, 11)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=POSITIONS)}
    shapes = tuple(dict(sizes) for _ in given) if free else None
    torch.export.save(torch.export.export(module.eval(), given, dynamic_shapes=shapes), path)
    return path
