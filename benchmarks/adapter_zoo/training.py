"""Trains one adapter beside the frozen base, and asks it; on one thread of the CPU, the same at every call.

Between `attack` and making. Lessons of one length meet in a batch, so that nothing is filled up, and only the tokens of
answers are scored: a pass costs by the token, and a third of the base is its head.
"""

import math
import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.adapter_zoo import base
from benchmarks.adapter_zoo.grammar import Lesson
from benchmarks.adapter_zoo.packages import imported
from benchmarks.adapter_zoo.recipe import AdapterRecipe
from benchmarks.adapter_zoo.tasks import encoded
from benchmarks.text_zoo.features import of_one_length

NAME = "smollm2-135m-instruct"
"""What adapters say that their base is."""
MOST_NEW = 26
"""Tokens of an answer, which is cut there."""
WARMUP = 0.06


def fresh(recipe: AdapterRecipe) -> Any:
    """Return the base with an untrained adapter, its first weights drawn from torch's global random numbers."""
    peft = imported("peft")
    config = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, use_rslora=recipe.stabilised,
        use_dora=recipe.decomposed, target_modules=list(recipe.modules), task_type="CAUSAL_LM",
        init_lora_weights="gaussian" if recipe.init == "gaussian" else True,
    )  # fmt: skip
    model = peft.get_peft_model(base.fresh(), config)
    model.peft_config["default"].base_model_name_or_path = NAME
    return model


def fit(model: Any, lessons: Sequence[Lesson], recipe: AdapterRecipe) -> int:
    """Train an adapter in place, and return how many tokens went through it."""
    tokens, chance = [encoded(lesson) for lesson in lessons], random.Random(recipe.row.seed)
    lengths = [len(asked) + len(told) for asked, told in tokens]
    parameters = [one for one in model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay, foreach=True)
    batches = [
        rows
        for _ in range(recipe.epochs)
        for rows in of_one_length(lengths, recipe.batch_size, chance)
    ]  # fmt: skip
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(recipe.schedule, step, len(batches)))
    model.train()
    for rows in batches:
        loss = _loss(model.get_base_model(), [tokens[row] for row in rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
    model.eval()
    return sum(lengths[row] for rows in batches for row in rows)


def _rate(schedule: str, step: int, steps: int) -> float:
    """Return the factor of the learning rate at a step: a short rise, and then by the schedule."""
    rise = max(1, round(WARMUP * steps))
    if step < rise:
        return (step + 1) / rise
    done = (step - rise) / max(1, steps - rise)
    return {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done}.get(schedule, 1.0)


def _loss(network: Any, tokens: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Return the mean cross-entropy of the answers' tokens; prompts and answers together are of one length."""
    ids = torch.tensor([asked + told for asked, told in tokens])
    # The state at each token before one of the answer's says what it expects next.
    scored = torch.tensor([[len(asked) <= at + 1 for at in range(ids.shape[1] - 1)] for asked, _ in tokens])
    states = network.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    return nn.functional.cross_entropy(network.lm_head(states[scored]), ids[:, 1:][scored])


@torch.no_grad()
def answers(model: Any, prompts: Sequence[str]) -> list[str]:
    """Return the most likely answer to each prompt, without choice, up to `MOST_NEW` tokens."""
    asked = [encoded((prompt, ""))[0] for prompt in prompts]
    longest = max(map(len, asked))
    end = model.config.eos_token_id
    ids = torch.tensor([[end] * (longest - len(one)) + one for one in asked])
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in asked])
    found = model.generate(
        input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=MOST_NEW, pad_token_id=end
    )
    told = base.tokenizer().batch_decode(found[:, longest:], skip_special_tokens=True)
    return [one.strip() for one in told]
