"""Errors of a policy file name file, line, what is wrong and what was meant; the policies that ship are read."""

import datetime as dt
import json

import pytest

from gate import detectors
from gate.cli.schema import schema_text
from gate.policies.packaged import ADAPTER, LANGUAGE, POLICIES
from gate.policies.read import MAX_POLICY_BYTES, parse_policy, read_policy
from gate.records.errors import PolicyError

DAY = dt.date(2026, 12, 1)
RULES = """\
version: 1
detectors:
  neural-cleanse:
    options: {steps: 20}
    limits:
      anomaly-index: {max: 3.9, source: "s"}
      size-ratio: {min: {8: 0.3, 10: 0.2}}
"""
WAIVER = """\
waivers:
  - detector: neural-cleanse
    metric: anomaly-index
    location: class 3
    model-digest: "sha256:%s"
    reason: looked at
    approved-by: a person
    expires: 2026-12-01
""" % ("a" * 64)


def fault(text):
    """Return the error of a policy's text."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, name="p.yml", on=DAY)
    return caught.value


def test_a_policy_is_read():
    """Kebab-case keys, tables by number of classes and dates arrive as they were written."""
    policy = parse_policy(RULES + WAIVER, name="p.yml", on=DAY)
    rule = policy.detectors["neural-cleanse"]
    assert rule.options == {"steps": 20}
    assert rule.limits["size-ratio"].at(12) == (0.2, None)
    assert policy.waivers[0].expires == DAY


CASES = {
    "unknown key": ("seeds: 1\n" + RULES, 1, ["unknown key 'seeds'", "did you mean 'seed'?"]),
    "unknown key, nothing near": (
        "zzzzzz: 1\n" + RULES,
        1,
        ["unknown key 'zzzzzz'", "expected one of", "uncalibrated"],
    ),
    "unknown key of a rule": (RULES.replace("options:", "option:"), 4, ["'option'", "did you mean 'options'?"]),
    "unknown key of a limit": (RULES.replace("source:", "sauce:"), 6, ["'sauce'", "did you mean 'source'?"]),
    "unknown key of the samples": (RULES + "samples:\n  sha265: a\n", 9, ["'sha265'", "did you mean 'sha256'?"]),
    "unknown key of the bank": (RULES + "bank:\n  path: b.json\n  sha: a\n", 10, ["'sha'", "did you mean 'sha256'?"]),
    "a bank without its digest": (RULES + "bank: {path: b.json}\n", 8, ["'bank.sha256' is missing"]),
    "unknown detector": (RULES.replace("neural-cleanse", "neural-clense"), 3, ["did you mean 'neural-cleanse'?"]),
    "unknown metric": (RULES.replace("anomaly-index", "anomaly-idx"), 6, ["did you mean 'anomaly-index'?"]),
    "unknown companion": (
        RULES.replace('source: "s"', "together-with: {sizes: {min: 1}}"),
        6,
        ["measures no 'sizes'", "did you mean 'size'?"],
    ),
    "unknown option": (RULES.replace("steps", "step"), 4, ["no option 'step'", "did you mean 'steps'?"]),
    "bad option": (RULES.replace("20", "many"), 4, ["option 'steps'", "valid integer", "got 'many'"]),
    "option out of range": (RULES.replace("20", "0"), 4, ["greater than or equal to 1", "got 0"]),
    "bad value": ("seed: many\n" + RULES, 1, ["seed", "valid integer", "got 'many'"]),
    "bad word": ("uncalibrated: maybe\n" + RULES, 1, ["uncalibrated", "'judge' or 'flag'", "got 'maybe'"]),
    "not a number": ("level: .nan\n" + RULES, 1, ["level", "finite number", "got nan"]),
    "a limit that is no number": (RULES.replace("3.9", "high"), 6, ["anomaly-index", "number", "got 'high'"]),
    "an infinite limit": (RULES.replace("3.9", ".inf"), 6, ["anomaly-index", "finite", "got inf"]),
    "an empty limit": (RULES.replace("max: 3.9, ", ""), 6, ["a limit needs max or min"]),
    "an empty table": (
        RULES.replace("{8: 0.3, 10: 0.2}", "{}"),
        7,
        ["size-ratio", "table by number of classes is empty"],
    ),
    "duplicate key": (RULES + "version: 1\n", 8, ["the key 'version' stands twice"]),
    "duplicate detector": (RULES + "  neural-cleanse: {}\n", 8, ["the key 'neural-cleanse' stands twice"]),
    "expired waiver": (
        RULES + WAIVER.replace("2026-12-01", "2026-11-30"),
        15,
        ["neural-cleanse anomaly-index", "a person", "expired on 2026-11-30"],
    ),
    "waiver on hostile files": (
        RULES + WAIVER.replace("neural-cleanse", "unsafe-pickle"),
        9,
        ["no waiver covers hostile files or code execution", "got 'unsafe-pickle'"],
    ),
    "waiver of nothing": (RULES + WAIVER.replace("anomaly-index", "size"), 9, ["on which the policy sets no limit"]),
    "no such day": (RULES + WAIVER.replace("2026-12-01", "2026-13-01"), 15, ["'2026-13-01' cannot be read", "month"]),
    "not YAML": (RULES + "samples: [1\n", 9, ["not YAML", "expected ',' or ']'"]),
    "a tab": (RULES + "samples:\n\tlayout: NCHW\n", 9, ["not YAML"]),
    "a control character": (RULES + "name: \x00\n", 8, ["not YAML", "special characters are not allowed"]),
    "a store that is no address": (
        RULES + "artifact-stores:\n  - s3://models/ml\n  - s3://models/../x\n",
        10,
        ["'s3://models/../x' is no artifact store", "'..'"],
    ),
    "a store in clear text": (
        RULES + 'artifact-stores: ["http://artifacts.example"]\n',
        8,
        ["'http://artifacts.example' is no artifact store", "clear text", "expected https"],
    ),
    "a store with a login": (RULES + "artifact-stores:\n- https://a:b@host\n", 9, ["user name or password"]),
    "one store that is no list": (
        RULES + "artifact-stores: s3://models\n",
        8,
        ["artifact-stores", "got 's3://models'"],
    ),
    "an object of Python": (RULES + "name: !!python/name:os.system\n", 8, ["could not determine a constructor"]),
    "too deep": ("[" * 5000, 1, ["nested too deeply"]),
    "empty": ("", 1, ["a policy is a mapping"]),
    "not a mapping": ("- version: 1\n", 1, ["a policy is a mapping"]),
    "missing version": (RULES.replace("version: 1\n", ""), 1, ["the key 'version' is missing"]),
    "missing detectors": ("version: 1\n", 1, ["the key 'detectors' is missing"]),
    "another version": (RULES.replace("1", "2", 1), 1, ["version", "got 2"]),
    "no detectors": ("version: 1\ndetectors: {}\n", 2, ["detectors", "at least 1 item"]),
    "the word on as a key": (
        RULES + "stages:\n  - detectors: [neural-cleanse]\n    on: suspects\n",
        10,
        ["the key 'on'", "YAML", "as true and false", "put it in quotes"],
    ),
    "the word no as a value": (RULES + "name: no\n", 8, ["name", "valid string", "got False", "put it in quotes"]),
    "a list as a key": (RULES + "? [a]\n: 1\n", 8, ["stands where a key is expected"]),
    "a stage without its detector": (
        RULES + "stages:\n  - detectors: [unsafe-pickle]\n",
        8,
        ["stages name 'unsafe-pickle'", "not among the policy's detectors"],
    ),
    "a detector in two stages": (
        RULES + "stages:\n  - detectors: [neural-cleanse]\n  - detectors: [neural-cleanse]\n",
        8,
        ["'neural-cleanse' stands in two stages"],
    ),
    "a detector in no stage": (
        RULES + "  model-inversion: {}\nstages:\n  - detectors: [neural-cleanse]\n",
        9,
        ["no stage runs the detector 'model-inversion'"],
    ),
    "a suspect rule for nobody": (
        RULES
        + "stages:\n  - detectors: [neural-cleanse]\n    suspects:\n      - {detector: other, metric: size, max: 1}\n",
        11,
        ["names 'other', which the policy does not run"],
    ),
    "a suspect rule without its metric": (
        RULES
        + "stages:\n  - detectors: [neural-cleanse]\n    suspects:\n"
        + "      - {detector: neural-cleanse, metric: sizes, max: 1}\n",
        11,
        ["measures no 'sizes'", "did you mean 'size'?"],
    ),
    "a suspect rule on a number of the whole model": (
        RULES
        + "stages:\n  - detectors: [neural-cleanse]\n    suspects:\n"
        + "      - {detector: neural-cleanse, metric: searched-share, max: 2}\n",
        11,
        ["'searched-share'", "measured at no class or pair", "expected one of size, size-ratio"],
    ),
    "a suspect rule on a detector of the bytes": (
        RULES
        + "  unsafe-pickle: {}\nstages:\n  - detectors: [neural-cleanse, unsafe-pickle]\n    suspects:\n"
        + "      - {detector: unsafe-pickle, metric: unsafe-globals, max: 0}\n",
        12,
        ["unsafe-pickle", "measures nothing at a class or pair"],
    ),
    "a suspect rule on a later stage": (
        RULES
        + "  probe-grid: {}\nstages:\n  - detectors: [probe-grid]\n    suspects:\n"
        + "      - {detector: neural-cleanse, metric: size-ratio, min: 0.5}\n  - detectors: [neural-cleanse]\n",
        12,
        ["names 'neural-cleanse', which runs in a later stage"],
    ),
    "an only stage over suspects": (
        RULES + "stages:\n  - {detectors: [neural-cleanse], over: suspects}\n",
        9,
        ["the stage of neural-cleanse is over suspects", "no stage before it has a rule that names any"],
    ),
    "an only stage over suspects of its own": (
        RULES
        + "stages:\n  - detectors: [neural-cleanse]\n    over: suspects\n"
        + "    suspects: [{detector: neural-cleanse, metric: size-ratio, min: 0.5}]\n",
        10,
        ["no stage before it has a rule that names any"],
    ),
    "stages over suspects that nothing names": (
        RULES
        + "  probe-grid: {}\n  model-inversion: {}\nstages:\n  - detectors: [probe-grid]\n"
        + "  - {detectors: [neural-cleanse], over: suspects}\n  - {detectors: [model-inversion], over: suspects}\n",
        12,
        ["the stage of neural-cleanse is over suspects"],
    ),
}


def test_suspects_go_on_through_stages_that_name_none():
    """A stage without a rule leaves them as they are for the next one, and a stage over them may narrow them."""
    text = (
        RULES
        + "  probe-grid: {}\n  model-inversion: {}\nstages:\n  - detectors: [probe-grid]\n"
        + "    suspects: [{detector: probe-grid, metric: warp-share, max: 0.5}]\n"
        + "  - detectors: [neural-cleanse]\n    over: suspects\n"
        + "    suspects: [{detector: neural-cleanse, metric: size-ratio, min: 0.5}]\n"
        + "  - {detectors: [model-inversion], over: suspects}\n"
    )
    policy = parse_policy(text, name="p.yml", on=DAY)
    assert [stage.over for stage in policy.stages] == ["all", "suspects", "suspects"]


@pytest.mark.parametrize("name", CASES)
def test_an_error_names_its_line_and_what_is_wrong(name):
    """Each error begins with file and line, says what was found, and what was expected where that is known."""
    text, line, words = CASES[name]
    error = fault(text)
    assert str(error).startswith(f"p.yml:{line}: ")
    for word in words:
        assert word in str(error)
    assert "\n" not in str(error)


def test_an_unreadable_file_is_named(tmp_path):
    """A policy that is not there, or is a directory, is an error that names the path and the recommended policy."""
    for path, why in ((tmp_path / "none.yml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(PolicyError, match=why) as caught:
            read_policy(path, on=DAY)
        assert str(path) in str(caught.value)
        assert "--policy default" in caught.value.what_to_do


def test_a_policy_that_is_too_large_is_refused(tmp_path):
    """A megabyte is more than any policy needs, and no more than that is read."""
    path = tmp_path / "p.yml"
    path.write_text("#" * (MAX_POLICY_BYTES + 1))
    with pytest.raises(PolicyError, match=f"larger than {MAX_POLICY_BYTES} bytes"):
        read_policy(path, on=DAY)


def test_aliases_upon_aliases_take_no_time():
    """Nodes that many aliases share are looked at once."""
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert "unknown key 'a0'" in str(fault(text))


OF_LANGUAGE = {"adapter-files", "adapter-spectrum", "chat-template", "difference-from-base", "language-files"}
OF_LANGUAGE |= {"continuation-trigger"}
"""Detectors of language models and their adapters: classifiers have none of what they look at."""


@pytest.mark.parametrize(("name", "space"), [("default", "images"), ("text", "tokens")])
def test_a_policy_of_a_space_is_read_and_covers_every_detector_of_it(name, space):
    """Each detector has its entry, and every limit says where it comes from."""
    policy = read_policy(POLICIES / f"{name}.yml", on=DAY)
    assert policy.name == name
    known = {one for one in detectors.names() if space in detectors.load(one).spaces}
    assert set(policy.detectors) == known - OF_LANGUAGE
    assert not policy.waivers
    for rule in policy.detectors.values():
        for limit in rule.limits.values():
            assert limit.source
            assert all(companion.source for companion in limit.together_with.values())


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (ADAPTER, {"adapter-files", "adapter-spectrum"}),
        (LANGUAGE, {"language-files", "difference-from-base", "continuation-trigger"}),
    ],
)
def test_a_policy_beside_a_base_runs_what_is_for_its_kind(path, own):
    """All detectors on bytes and the two or three for the kind; no limit without a source."""
    policy = read_policy(path, on=DAY)
    on_bytes = {one for one in detectors.names() if detectors.load(one).before_loading}
    assert set(policy.detectors) == {*on_bytes, "modelaudit", "chat-template", *own}
    assert own < OF_LANGUAGE
    assert policy.uncalibrated == "flag"
    assert all(limit.source for rule in policy.detectors.values() for limit in rule.limits.values())


def test_the_schema_that_ships_is_the_one_that_is_printed():
    """`gate/policies/schema.json` equals the output of `gate schema policy`, so editors know what is accepted."""
    text = (POLICIES / "schema.json").read_text(encoding="utf-8")
    assert text == schema_text("policy")
    assert "samples-from-tag" in json.loads(text)["properties"]


def test_a_misspelt_name_of_a_packaged_policy_is_answered_with_the_name(tmp_path, monkeypatch):
    """A bare word that is nearly one; a path is a path."""
    from pathlib import Path

    from gate.records.clock import today

    monkeypatch.chdir(tmp_path)
    for named, said in (
        ("defalt", "Did you mean 'default'?"),
        ("a/defalt", "Name a"),
    ):
        with pytest.raises(PolicyError) as caught:
            read_policy(Path(named), on=today())
        assert caught.value.what_to_do.startswith(said)


def test_templates_cannot_be_left_to_a_detector_that_does_not_run():
    """Silence about them would pass for having looked."""
    text = "version: 1\ndetectors:\n  unsafe-format: {options: {chat-templates: true}}\n"
    assert "which the policy does not run" in str(fault(text))
