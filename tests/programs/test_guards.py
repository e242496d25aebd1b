import pytest
import torch

from gate.programs.guards import guarded

ATEN = torch.ops.aten


def channels(count):
    """Return statistics for so many channels."""
    return torch.ones(count)


def lstm(states=2, hidden=12, batch=4):
    """Return arguments of a bidirectional LSTM (8 to 12) over a batch of 4, with some of them changed."""
    first = [torch.zeros(2, batch, hidden) for _ in range(states)]
    weights = [torch.zeros(size) for _ in range(2) for size in ((48, 8), (48, 12), (48,), (48,))]
    return torch.zeros(4, 6, 8), first, weights, True, 1, 0.0, False, True, True


HEADS = torch.zeros(2, 4, 16, 8)
FITTING = {
    "batch norm": (
        ATEN._native_batch_norm_legit_no_training.default,
        (torch.zeros(2, 64, 8, 8), channels(64), channels(64), channels(64), channels(64), 0.1, 1e-5),
    ),
    "attention": (ATEN._scaled_dot_product_flash_attention_for_cpu.default, (HEADS, HEADS, HEADS)),
    "lstm": (ATEN.lstm.input, lstm()),
}
MISFITTING = {
    "batch norm": (
        "_native_batch_norm_legit_no_training",
        (torch.zeros(2, 64, 8, 8), channels(3), channels(3), channels(3), channels(3), 0.1, 1e-5),
    ),
    "attention batch": ("_scaled_dot_product_flash_attention_for_cpu", (HEADS, HEADS[:, :, :5], HEADS[:1, :2, :5])),
    "attention length": ("_scaled_dot_product_flash_attention_for_cpu", (HEADS, HEADS, HEADS[:, :, :5])),
    "lstm batch": ("lstm", lstm(batch=1)),
    "lstm width": ("lstm", lstm(hidden=5)),
}


@pytest.mark.parametrize("case", FITTING)
def test_fitting_arguments_reach_the_operator(case):
    """A guard lets through what fits, and changes nothing."""
    operator, arguments = FITTING[case]
    result = guarded(operator._schema.name.removeprefix("aten::"), operator)(*arguments)
    torch.testing.assert_close(result[0], operator(*arguments)[0])


@pytest.mark.parametrize("case", MISFITTING)
def test_sizes_that_made_a_kernel_leave_its_memory_are_stopped_before_it(case):
    """The kernel is never entered with sizes that disagree; torch itself does not check these."""
    name, arguments = MISFITTING[case]

    def kernel(*_):
        pytest.fail("the kernel was reached")

    with pytest.raises(ValueError, match=r"differ|expected"):
        guarded(name, kernel)(*arguments)
