"""The versions beside a candidate: which are pulled, why they are called approved, and why there are none."""

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.check.files import CheckFiles
from gate.check.previous import Against, bring_previous
from gate.check.pull import PullRequest, pull
from gate.records.artifact import ModelRef, build_manifest
from gate.records.errors import RegistryError, UnknownVersionError
from gate.records.policy import DownloadBounds, Policy, Rule
from gate.registries.contract import VersionFacts
from tests.attestations.signed import statement

POLICY = Policy(version=1, detectors={"version-change": Rule(options={"earlier": 2})})
APPROVED = {"gate.decision": "approved"}


def ref(number, name="fraud"):
    """Return a version."""
    return ModelRef(registry="mlflow", name=name, version=str(number))


class Shelf:
    """A registry at the gate's own seam: versions with a file each and their tags, and what an alias names."""

    def __init__(self, tags, serves=None):
        self.tags, self.serves, self.broken = tags, serves, set()

    def allowing(self, _stores):
        """Return itself: it has no addresses."""
        return self

    def resolve(self, uri):
        """Return the version that a URI names."""
        number = self.serves if uri.endswith("@champion") else int(uri.rsplit("/", maxsplit=1)[-1])
        if number not in self.tags:
            raise UnknownVersionError(f"{uri} is unknown")
        return ref(number)

    def versions(self, _name):
        """Return all of them."""
        return tuple((ref(number), tags) for number, tags in self.tags.items())

    def facts(self, version):
        """Return a version's tags."""
        return VersionFacts(tags=self.tags[int(version.version)])

    def pull(self, version, to):
        """Bring its one file."""
        if int(version.version) in self.broken:
            raise RegistryError("the store does not answer")
        (to / "model.pt2").write_text(f"bytes of {version.version}")


def brought(shelf, tmp_path, candidate=9, policy=POLICY, **against):
    """Return what is brought beside a candidate."""
    return bring_previous(shelf, shelf and shelf.versions, Against(**against), policy, ref(candidate), tmp_path)


def test_the_serving_version_and_the_newest_approved_ones_are_brought_the_oldest_first(tmp_path):
    """As many as the policy asks for; a version that is not approved, and the candidate, are none of them."""
    shelf = Shelf({1: APPROVED, 2: APPROVED, 3: {}, 5: APPROVED, 6: APPROVED, 9: APPROVED}, serves=5)
    found = brought(shelf, tmp_path)
    assert [(str(one.model), one.serves, one.approved) for one in found.versions] == [
        ("models:/fraud/2", False, "tag"),
        ("models:/fraud/5", True, "tag"),
        ("models:/fraud/6", False, "tag"),
    ]
    for place, number in enumerate((2, 5, 6)):
        assert (tmp_path / "previous" / str(place) / "model.pt2").read_text() == f"bytes of {number}"
        assert build_manifest(tmp_path / "previous" / str(place))[0] == found.versions[place].manifest
    assert (found.asked, found.why) == ("models:/fraud@champion", "")


def test_a_signature_over_the_bytes_is_the_ground_where_a_key_is_trusted(tmp_path):
    """Beside a key a tag counts for nothing, and so does a signature over other bytes."""
    key = generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    shelf = Shelf({1: APPROVED, 2: APPROVED, 3: APPROVED}, serves=3)
    sign_approvals(shelf, key, tmp_path, {3: 3, 2: 1})
    found = brought(shelf, tmp_path, keys=(key.public,))
    assert [(one.approved, one.key) for one in found.versions] == [("no", ""), ("signature", key.public.key_id[:64])]


def sign_approvals(shelf, key, tmp_path, about):
    """Give versions signed approvals: of their own bytes, or of another version's."""
    for number, of in about.items():
        folder = tmp_path / f"hashed-for-{number}"
        folder.mkdir()
        shelf.pull(ref(of), folder)
        said = statement(model=ref(of), model_digest=build_manifest(folder)[0].digest, covers="candidate")
        shelf.tags[number] = APPROVED | {"gate.attestation": sign(said, key)}


@pytest.mark.parametrize("copies", [{}, {5: 1, 6: 2, 7: 3}])
def test_tags_crowd_no_signed_approval_out(tmp_path, copies):
    """Newer versions that are only tagged, or that carry an older one's approval, take no place from signed ones."""
    key = generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    shelf = Shelf(dict.fromkeys(range(1, 9), APPROVED), serves=3)
    sign_approvals(shelf, key, tmp_path, {1: 1, 2: 2, 3: 3} | copies)
    found = brought(shelf, tmp_path, keys=(key.public,))
    assert [(str(one.model), one.approved) for one in found.versions] == [
        ("models:/fraud/1", "signature"),
        ("models:/fraud/2", "signature"),
        ("models:/fraud/3", "signature"),
    ]


@pytest.mark.parametrize(
    ("serves", "against", "why"),
    [
        (None, {}, "nothing serves yet: models:/fraud@champion names no version (--against models:/NAME@champion"),
        (None, {"uri": "models:/prod@champion"}, "nothing serves yet: models:/prod@champion names no version"),
        (1, {"uri": "none"}, "--against none"),
        (9, {}, "models:/fraud/9 is itself the version that serves now"),
    ],
)
def test_where_there_is_nothing_to_compare_with_the_reason_is_said(tmp_path, serves, against, why):
    """The first version, a comparison that is not wanted, and production checked again."""
    found = brought(Shelf({1: APPROVED, 9: {}}, serves), tmp_path, **against)
    assert found.why.startswith(why)
    assert not found.versions


def test_a_version_by_number_that_does_not_exist_is_an_error(tmp_path):
    """It was named by hand; an alias may name nothing yet."""
    with pytest.raises(UnknownVersionError):
        brought(Shelf({1: {}}), tmp_path, uri="models:/fraud/4")


def test_versions_that_cannot_be_had_are_reasons(tmp_path):
    """Of the one that serves, nothing is compared; of an earlier one, the others are."""
    shelf = Shelf({1: APPROVED, 2: APPROVED, 3: APPROVED}, serves=3)
    shelf.broken = {2}
    found = brought(shelf, tmp_path)
    assert [one.why for one in found.versions] == ["", "the store does not answer", ""]
    shelf.broken = {3}
    assert brought(shelf, tmp_path).why == "models:/fraud/3 could not be had: the store does not answer"


def test_all_of_them_together_keep_to_the_bounds_of_one_download(tmp_path):
    """Whoever may register approved versions cannot fill the disk by their number."""
    shelf = Shelf(dict.fromkeys(range(1, 5), APPROVED), serves=4)
    bounds = DownloadBounds(max_gib=1, max_files=2)
    found = brought(shelf, tmp_path, policy=POLICY.model_copy(update={"download": bounds}))
    assert [str(one.model) for one in found.versions] == ["models:/fraud/3", "models:/fraud/4"]


def test_the_same_bytes_twice_are_one_version(tmp_path):
    """A version that was registered again says nothing about what is usual."""
    shelf = Shelf({1: APPROVED, 2: APPROVED}, serves=2)
    shelf.pull = lambda _version, to: (to / "model.pt2").write_text("the same")
    assert [one.why for one in brought(shelf, tmp_path).versions] == ["its bytes are another version's", ""]


def test_a_policy_that_does_not_compare_brings_nothing(tmp_path):
    """And the registry is not asked."""
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()})
    assert brought(None, tmp_path, policy=policy) is None


def test_a_folder_has_no_alias(tmp_path):
    """It says how one is named."""
    folder = ModelRef(registry="directory", name="/models/one")
    found = bring_previous(None, None, Against(), POLICY, folder, tmp_path)
    assert found.why == "a folder on disk has no alias; --against names one"


def test_a_check_lists_the_versions_of_a_model_once(tmp_path):
    """What is compared with and what is told of before are of one listing: none can come or go between two."""
    asked, key = [], generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")

    class Counted(Shelf):
        def versions(self, name):
            asked.append(name)
            return super().versions(name)

        def training_set(self, _ref, _to):
            return

    shelf = Counted(dict.fromkeys((1, 2, 9), APPROVED), serves=2)
    request = PullRequest("models:/fraud/9", POLICY, against=Against(keys=(key.public,)))
    (tmp_path / "report").mkdir()
    pulled = pull(shelf, request, CheckFiles(tmp_path / "report"), tmp_path / "base", ref(9))
    assert (len(pulled.previous.versions), pulled.history.unsigned) == (1, 2)
    assert asked == ["fraud"]
