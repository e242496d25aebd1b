"""What is judged is what is served: torch's own loader makes the same of a bundle as of the candidate, to the bit."""

import json
import warnings
from dataclasses import replace

import pytest
import torch
from consumers_view import lint_archive
from exported_families import FAMILIES, make, samples
from hostile_archives import edited, members
from torch import nn
from torch.nn import functional

from gate.programs import RefusedError, read_program
from gate.programs.writer.write import write_program

BATCHES = (1, 2, 64)


@pytest.fixture(autouse=True)
def _one_thread():
    """Run on one thread: with several, the order of a sum is the scheduler's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pair(model, shape, folder, *, free=True, dtype=torch.float32):
    """Return the paths of a candidate as torch saves it and of its bundle."""
    candidate, bundle = folder / "candidate.pt2", folder / "bundle.pt2"
    example = samples(shape, 4 if free else 1, seed=2).to(dtype)
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the exporter's remark on an LSTM's flat weights
        torch.export.save(torch.export.export(model, (example,), dynamic_shapes=shapes), candidate)
    write_program(read_program(candidate), bundle)
    return candidate, bundle


def described(program):
    """Return a loaded program's operators with their arguments, and its tensors with all that kernels look at."""
    nodes = [(node.op, node.name, str(node.target), repr((node.args, node.kwargs))) for node in program.graph.nodes]
    tensors = {
        name: (type(tensor), tensor.dtype, tensor.shape, tensor.stride(), tensor.requires_grad, tensor.device)
        for name, tensor in {**program.state_dict, **program.constants}.items()
    }
    return nodes, tensors, program.graph_signature, program.range_constraints


def assert_same(candidate, bundle, shape, counts, *, dtype=torch.float32, device="cpu"):
    """Compare two archives as torch's loader sees them: structure, values, outputs with gradients and without."""
    one, other = torch.export.load(candidate), torch.export.load(bundle)
    if device != "cpu":
        one, other = (torch.export.passes.move_to_device_pass(program, device) for program in (one, other))
    assert described(one) == described(other)
    for name, tensor in {**one.state_dict, **one.constants}.items():
        assert torch.equal(tensor, {**other.state_dict, **other.constants}[name])
    first, second = one.module(), other.module()
    for count in counts:
        x = samples(shape, count).to(dtype).to(device)
        for grad in (False, True):
            with torch.set_grad_enabled(grad):
                expected, given = first(x), second(x)
            assert torch.equal(expected, given)
            assert expected.requires_grad == given.requires_grad


def assert_stable(bundle, again):
    """Assert that a bundle, read and written again, has the same bytes, and that the inspector finds nothing in it."""
    assert lint_archive(bundle) == ()
    write_program(read_program(bundle), again)
    assert again.read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize("free", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["free", "one"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_is_its_candidate_to_the_bit(family, free, tmp_path):
    """Every family: the same operators and constants, equal bits at each batch size, and stable bytes."""
    model, shape = make(family)
    candidate, bundle = pair(model, shape, tmp_path, free=free)
    assert_same(candidate, bundle, shape, BATCHES if free else BATCHES[:1])
    assert_stable(bundle, tmp_path / "again.pt2")


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        ("mlp", torch.float16),
        pytest.param("mlp", torch.bfloat16, marks=pytest.mark.slow),
        pytest.param("mlp", torch.float64, marks=pytest.mark.slow),
        pytest.param("resnet", torch.float16, marks=pytest.mark.slow),
        pytest.param("resnet", torch.bfloat16, marks=pytest.mark.slow),
        ("lenet", torch.float64),
        pytest.param("vit", torch.float16, marks=pytest.mark.slow),
        ("vit", torch.bfloat16),
        pytest.param("vit", torch.float64, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_other_types_keep_their_bits(family, dtype, tmp_path):
    """Half and double precision are written as they are."""
    model, shape = make(family)
    candidate, bundle = pair(model.to(dtype), shape, tmp_path, dtype=dtype)
    assert_same(candidate, bundle, shape, BATCHES, dtype=dtype)
    assert_stable(bundle, tmp_path / "again.pt2")


@pytest.mark.parametrize(
    "family", ["convnext", *(pytest.param(f, marks=pytest.mark.slow) for f in ("resnet", "mobilenet"))]
)
def test_channels_last_weights_stay_channels_last(family, tmp_path):
    """Kernels sum channels-last weights in another order: written contiguous, the same numbers gave other bits."""
    model, shape = make(family)
    candidate, bundle = pair(model.to(memory_format=torch.channels_last), shape, tmp_path)
    assert any(not tensor.is_contiguous() for tensor in torch.export.load(bundle).state_dict.values())
    assert_same(candidate, bundle, shape, BATCHES)
    assert_stable(bundle, tmp_path / "again.pt2")


def transposed():
    """Return an MLP whose weights are stored column by column."""
    model, shape = make("mlp")
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight = nn.Parameter(module.weight.detach().t().contiguous().t())
    return model, shape


def frozen():
    """Return a transformer without gradients: with them, attention takes another kernel and gives other bits."""
    model, shape = make("vit")
    return model.requires_grad_(requires_grad=False), shape


class Tied(nn.Module):
    """Two layers of one weight, one of them transposed, and two views of one buffer at offsets."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.third = nn.Linear(8, 8)
        self.third.weight = nn.Parameter(self.first.weight.detach().t())
        scales = torch.linspace(0.5, 2, 13)
        self.register_buffer("low", scales[:8])
        self.register_buffer("high", scales[5:])

    def forward(self, x):
        """Run all three layers."""
        return self.third(self.second(self.first(x * self.low)) * self.high)


class Strided(nn.Module):
    """Buffers and constants in every layout that is not plain, and of every type."""

    def __init__(self):
        super().__init__()
        plane = torch.arange(40, dtype=torch.float32).sin()
        self.register_buffer("repeated", plane[:1].clone().expand(8))
        self.register_buffer("gaps", plane[:15].clone()[::2])
        self.register_buffer("windows", plane[:15].clone().as_strided((8, 8), (1, 1)))
        self.register_buffer("empty", torch.zeros(0, 8))
        self.register_buffer("scalar", torch.tensor(0.25))
        self.register_buffer("mask", torch.arange(8) % 2 == 0, persistent=False)
        self.register_buffer("bytes", torch.arange(8, dtype=torch.uint8))
        self.register_buffer("index", torch.arange(7, -1, -1))
        self.register_buffer("small", torch.arange(8, dtype=torch.int16))
        self.register_buffer("narrow", torch.linspace(-1, 1, 8).half())
        self.constant = torch.linspace(0, 1, 16).view(8, 2).t()

    def forward(self, x):
        """Use all of them, the odd layouts where kernels differ by layout."""
        x = x.exp() * self.repeated.exp() + self.gaps.exp()
        x = functional.linear(x, self.windows) + self.scalar + self.narrow
        x = torch.where(self.mask, x, x + self.bytes + self.small)
        x = torch.cat([x[:, self.index], functional.linear(x, self.empty)], dim=1)
        return functional.linear(x, self.constant)


@pytest.mark.parametrize(
    "case",
    [transposed, frozen, lambda: (Tied(), (8,)), lambda: (Strided(), (8,))],
    ids=["transposed", "frozen", "tied", "strided"],
)
def test_layouts_of_tensors_are_kept(case, tmp_path):
    """Strides, shared memory and frozen parameters are the candidate's, so that its kernels do the same."""
    model, shape = case()
    candidate, bundle = pair(model.eval(), shape, tmp_path)
    assert_same(candidate, bundle, shape, BATCHES)
    assert_stable(bundle, tmp_path / "again.pt2")


def test_tied_weights_are_written_once(tmp_path):
    """What shares memory in the candidate shares a record, under each of its names."""
    _, bundle = pair(Tied().eval(), (8,), tmp_path)
    content = members(bundle)
    config = json.loads(content["data/weights/model_weights_config.json"])["config"]
    assert len({config[name]["path_name"] for name in ("first.weight", "second.weight", "third.weight")}) == 1
    assert sum(len(raw) for name, raw in content.items() if "/weight_" in name) == 4 * (64 + 3 * 8 + 13)
    weights = torch.export.load(bundle).state_dict
    assert weights["first.weight"].data_ptr() == weights["third.weight"].data_ptr()


def test_what_no_tensor_reads_is_zero(tmp_path):
    """Bytes between the elements of a tensor are in no output, so nothing of the candidate's stays in them."""
    _, bundle = pair(Strided().eval(), (8,), tmp_path)
    content = members(bundle)
    config = json.loads(content["data/weights/model_weights_config.json"])["config"]
    raw = torch.frombuffer(bytearray(content[f"data/weights/{config['gaps']['path_name']}"]), dtype=torch.float32)
    assert len(raw) == 15
    assert torch.equal(raw[::2], torch.arange(0, 15, 2).float().sin())
    assert not raw[1::2].any()


def test_a_tensor_alone_has_a_record_of_its_own_length(tmp_path):
    """A view into a larger piece of memory brings nothing of the rest along."""
    program = read_program(pair(nn.Linear(8, 2).eval(), (8,), tmp_path)[0])
    plane = torch.arange(64.0).view(4, 16)
    tensors = {entry.name: (plane[1] if entry.qualified_name == "weight" else plane[0, :2]) for entry in program.state}
    tensors = {name: tensor.view(2, -1) if len(tensor) == 16 else tensor for name, tensor in tensors.items()}
    apart = {name: tensor.clone() if tensor.dim() == 1 else tensor for name, tensor in tensors.items()}
    write_program(replace(program, tensors=apart), tmp_path / "view.pt2")
    sizes = {name: len(raw) for name, raw in members(tmp_path / "view.pt2").items() if "/weight_" in name}
    assert sorted(sizes.values()) == [8, 64]
    again = read_program(tmp_path / "view.pt2")
    assert torch.equal(again.parameters["weight"], plane[1].view(2, 8))


def test_negated_views_are_written_by_value(tmp_path):
    """A view that negates its memory lazily is written as what it says, not as what lies there."""
    candidate, _ = pair(nn.Linear(8, 2).eval(), (8,), tmp_path)
    program = read_program(candidate)
    negated = {name: torch._neg_view(tensor) for name, tensor in program.tensors.items()}
    write_program(replace(program, tensors=negated), tmp_path / "negated.pt2")
    for name, tensor in read_program(tmp_path / "negated.pt2").tensors.items():
        assert torch.equal(tensor, -program.tensors[name])


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.eye(2).to_sparse(), "layout torch.sparse_coo"),
        (torch.zeros(2, device="meta"), "on meta has no bytes"),
        (torch.zeros(2, dtype=torch.complex64), "type torch.complex64 is not written"),
        (torch.zeros(2, dtype=torch.complex64).conj(), "type torch.complex64 is not written"),
    ],
    ids=["sparse", "meta", "complex", "conjugate"],
)
def test_tensors_without_plain_bytes_are_refused(tensor, message, tmp_path):
    """The writer says which tensor it cannot write, and leaves no file."""
    program = read_program(pair(nn.Linear(8, 2).eval(), (8,), tmp_path)[0])
    tensors = dict.fromkeys(program.tensors, tensor)
    with pytest.raises(RefusedError, match=message):
        write_program(replace(program, tensors=tensors), tmp_path / "refused.pt2")
    assert not (tmp_path / "refused.pt2").exists()


def test_a_bundle_is_wholly_on_the_cpu(tmp_path):
    """A program of a GPU has that device in its nodes and descriptions; half moved, it would run on no machine."""
    candidate, bundle = pair(Placed(), (8,), tmp_path)
    gpu = edited(candidate, tmp_path / "gpu.pt2", to_gpu)
    assert b'"as_device": {"type": "cuda"' in members(gpu)["models/model.json"]
    write_program(read_program(gpu), tmp_path / "moved.pt2")
    assert (tmp_path / "moved.pt2").read_bytes() == bundle.read_bytes()


class Placed(nn.Module):
    """A program that makes a tensor on a device of its own."""

    def forward(self, x):
        """Add each number's place."""
        return x + torch.arange(8, dtype=torch.float32, device="cpu")


def to_gpu(value):
    """Change a program's JSON to what an export on a GPU says."""
    if isinstance(value, dict) and value.get("type") == "cpu":
        value.update(type="cuda", index=0)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        to_gpu(item)


def test_a_local_version_is_not_written(tmp_path, monkeypatch):
    """`2.13.0+cpu` and `2.13.0+cu130` write the same bytes."""
    candidate, bundle = pair(nn.Linear(8, 2).eval(), (8,), tmp_path)
    monkeypatch.setattr(torch, "__version__", torch.__version__.partition("+")[0] + "+another")
    write_program(read_program(candidate), tmp_path / "again.pt2")
    assert (tmp_path / "again.pt2").read_bytes() == bundle.read_bytes()
    assert "+" not in json.loads(members(bundle)["models/model.json"])["torch_version"]


class Named(nn.Module):
    """A program that takes tensors in containers and by name."""

    def forward(self, pair, *, scale):
        """Add a pair, the second part scaled."""
        return pair["left"][0] + pair["right"] * scale


def test_sample_inputs_come_in_the_callers_containers(tmp_path):
    """However a caller passes tensors, the bundle takes them so, and refuses the sizes that the candidate refuses."""
    given = ({"left": [torch.ones(2, 3)], "right": torch.ones(2, 3)},), {"scale": torch.ones(3)}
    torch.export.save(torch.export.export(Named(), given[0], kwargs=given[1]), tmp_path / "candidate.pt2")
    write_program(read_program(tmp_path / "candidate.pt2"), tmp_path / "bundle.pt2")
    assert_stable(tmp_path / "bundle.pt2", tmp_path / "again.pt2")
    loaded = torch.export.load(tmp_path / "bundle.pt2")
    zeros = torch.utils._pytree.tree_leaves(loaded.example_inputs)
    assert [tuple(zero.shape) for zero in zeros] == [(2, 3), (2, 3), (3,)]
    assert torch.equal(loaded.module()(*given[0], **given[1]), torch.full((2, 3), 2.0))
    said = []
    for name in ("candidate", "bundle"):
        with pytest.raises(AssertionError) as refused:
            torch.export.load(tmp_path / f"{name}.pt2").module()(*given[0], scale=torch.ones(4))
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_mlflow_opens_a_bundle_where_it_may_unpickle_nothing(tmp_path, monkeypatch):
    """A consumer that forbids pickles to MLflow gets every member of a bundle past its check."""
    from mlflow.pytorch import _load_model

    candidate, bundle = pair(nn.Linear(8, 2).eval(), (8,), tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    bundle.rename(folder / "model.pt2")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    x = samples((8,), 3)
    assert torch.equal(_load_model(str(folder))(x), torch.export.load(candidate).module()(x))


def test_on_a_second_device(tmp_path):
    """Moved to a GPU, candidate and bundle of every family give the same bits there too."""
    if not torch.cuda.is_available():
        pytest.skip("not run: no second device")
    for family in FAMILIES:
        model, shape = make(family)
        folder = tmp_path / family
        folder.mkdir()
        candidate, bundle = pair(model, shape, folder)
        assert_same(candidate, bundle, shape, BATCHES, device="cuda")
