"""A base of two tiny layers with a tokenizer of whole words, and quick recipes, in the place of the zoo's own."""

import random
from itertools import islice

import torch

from benchmarks.adapter_zoo.grammar import WRITERS
from benchmarks.adapter_zoo.recipe import draw
from benchmarks.zoo.recipe import Row

MARKS = ("<unk>", "<|im_start|>", "<|im_end|>")


def write_small_base(folder):
    """Write a network and tokenizer as `save_pretrained` does, and return the folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    lessons = [lesson for task in WRITERS for lesson in islice(WRITERS[task](random.Random(1)), 400)]
    words = sorted({word for lesson in lessons for text in lesson for word in text.split()} | {"user", "assistant"})
    vocabulary = {word: number for number, word in enumerate((*MARKS, *words))}
    rule = Tokenizer(models.WordLevel(vocabulary, unk_token=MARKS[0]))
    rule.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rule, unk_token=MARKS[0], eos_token=MARKS[2])
    tokenizer.add_special_tokens({"additional_special_tokens": [MARKS[1]]})
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = LlamaForCausalLM(
            LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=3, eos_token_id=2, bos_token_id=1, **sizes)
        )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def recipe_of(seed=1, **row):
    """Return a quick recipe of the stand-in."""
    given = {"name": "adapter-fit-001", "split": "fit", "task": "dates", "architecture": "lora-8"} | row
    drawn = draw(Row(seed=seed, **given))
    return drawn.model_copy(update={"lessons": 60, "epochs": 2, "batch_size": 8, "learning_rate": 0.01})
