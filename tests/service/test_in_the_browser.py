"""The review page in headless Chromium, without JavaScript and without a mouse, behind a proxy's header."""

import pytest

from gate.promotion.verification import Trust, now, verify_version
from gate.records.policy import DownloadBounds
from tests.service.browser import decide, needs_chromium, reviewing, tab_to
from tests.service.serving import POLICY, Gate, created
from tests.service.standing_registry import FolderRegistry

REVIEW = '[review]\nidentity = "header"\nheader = "X-User"\nproxies = ["127.0.0.1"]'
REVIEWERS = "reviewers: {names: [ann], approvals: 1, identity: stated}\n"


@pytest.mark.story
@needs_chromium
def test_a_flagged_version_is_found_read_and_rejected_by_keyboard(tmp_path):
    """Landmarks, headings, labels and tables have names; the report stands in its frame; what was said stays."""
    from playwright.sync_api import expect

    registry = FolderRegistry(tmp_path / "registry")
    ref = registry.add("cand", 1, "model")
    gate = Gate(tmp_path / "gate", str(registry.root), watch=REVIEW, variables={"GATE_TEST_NO_WORKER": "0"}).prepare()
    (gate.folder / "policy.yml").write_text(POLICY + REVIEWERS)
    gate.start()
    try:
        assert gate.send(created(1))[0] == 200
        gate.wait_for(lambda: len(registry.facts(ref).tags.get("gate.attestation", "")) > 100)
        with reviewing(f"http://127.0.0.1:{gate.port}", headers={"X-User": "ann"}) as page:
            page.goto("/")
            waits = page.get_by_role("table", name="Flagged versions, newest first")
            expect(waits).to_contain_text("The model was not loaded")
            expect(waits).to_contain_text("waiting")
            tab_to(page, "link", "cand, version 1")
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text("cand, version 1")
            expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
            for role in ("banner", "navigation", "main", "contentinfo"):
                expect(page.get_by_role(role)).to_have_count(1)
            for name in ("Decision", "Report", "Your decision", "Earlier decisions about this model"):
                expect(page.get_by_role("region", name=name, exact=True)).to_have_count(1)
            expect(page.get_by_role("button")).to_have_count(2)
            tab_to(page, "spinbutton", "Days for which an approval holds")
            page.keyboard.press("Enter")  # in a field it decides nothing
            expect(page.get_by_role("region", name="Decision", exact=True)).to_contain_text("waiting")
            page.screenshot(path=tmp_path / "waiting.png", full_page=True)
            decide(page, "Reject", "class 7 has a planted patch")
            expect(page.get_by_role("region", name="Decision", exact=True)).to_contain_text("rejected")
            expect(page.get_by_role("table", name="Newest first")).to_contain_text("class 7 has a planted patch")
            expect(page.get_by_role("button")).to_have_count(2)  # further voices are heard
            page.screenshot(path=tmp_path / "rejected.png", full_page=True)
    finally:
        gate.kill()
    looked = verify_version(
        registry, "models:/cand/1", Trust((gate.key.public,), None, download=DownloadBounds()), now()
    )
    assert not looked.holds
    assert "rejected by a reviewer" in looked.verified.reasons[0]
