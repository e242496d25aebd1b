"""One comment a model and policy on either forge: created once, then updated, and never in the way."""

import pytest

from gate.publishers.sticky import post
from tests.publishers.forge import STRANGER

MARK = "<!-- gate:0123 -->"


def test_a_comment_is_created_once_and_then_updated(hub, thread):
    """Three checks leave one comment, with the last one's text."""
    actions = [post(thread, MARK, f"{MARK}\nfirst {number}").action for number in range(3)]
    assert actions == ["created", "updated", "updated"]
    assert [comment["body"] for comment in hub.comments] == [f"{MARK}\nfirst 2"]
    assert len(hub.asked("POST")) == 1


def test_another_model_has_a_comment_of_its_own(hub, thread):
    """A comment is found by its marker alone."""
    post(thread, MARK, MARK)
    assert post(thread, "<!-- gate:4567 -->", "<!-- gate:4567 -->").action == "created"
    assert len(hub.comments) == 2


def test_a_strangers_comment_with_the_marker_is_left_alone(hub, thread):
    """Whoever copies the marker does not get the gate's text into their comment, nor keep it from being posted."""
    hub.add(f"{MARK}\nAPPROVED", STRANGER)
    assert post(thread, MARK, f"{MARK}\nflagged").action == "created"
    assert hub.comments[0]["body"] == f"{MARK}\nAPPROVED"
    assert post(thread, MARK, f"{MARK}\nagain").action == "updated"
    assert [comment["body"] for comment in hub.comments[1:]] == [f"{MARK}\nagain"]


def test_the_comment_is_found_on_a_later_page(hub, thread):
    """The server gives two comments a page; ours is the sixth."""
    for number in range(5):
        hub.add(f"talk {number}")
    hub.add(MARK)
    assert post(thread, MARK, f"{MARK} new").action == "updated"
    assert len(hub.comments) == 6


def test_pages_on_another_host_are_not_followed(hub, thread):
    """A `next` link elsewhere would carry the token away."""
    for number in range(3):
        hub.add(f"talk {number}")
    real, hub.address = hub.address, "http://127.0.0.2:9"
    posted = post(thread, MARK, MARK)
    hub.address = real
    assert posted.action == "left out"
    assert "another host" in posted.why


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_that_may_not_write_is_an_outcome(hub, thread, status):
    """On a fork's request creating is refused; the reader is told, and nothing is raised."""
    hub.faults = [("POST", status)]
    posted = post(thread, MARK, MARK)
    assert posted.action == "left out"
    assert f"status {status}" in posted.why
    assert hub.comments == []


def test_passing_faults_are_tried_again(hub, thread):
    """Reading is tried again after 502 and 429; creating after 429, since then nothing was made."""
    hub.faults = [("GET", 502), ("GET", 429), ("POST", 429, {"Retry-After": "1"})]
    assert post(thread, MARK, MARK).action == "created"
    assert len(hub.comments) == 1


def test_creating_is_not_repeated_where_it_may_have_been_done(hub, thread):
    """After 502 nobody knows whether the comment exists; the next check will find it."""
    hub.faults = [("POST", 502)]
    assert post(thread, MARK, MARK).action == "left out"
    assert len(hub.asked("POST")) == 1


def test_a_long_pause_is_not_waited_for(hub, thread):
    """A server that asks for an hour gets no second request."""
    hub.faults = [("GET", 429, {"Retry-After": "3600"})]
    posted = post(thread, MARK, MARK)
    assert posted.action == "left out"
    assert len(hub.requests) == 1


def test_a_server_that_stays_broken_is_given_up(hub, thread):
    """After the stated number of retries the comment is left out."""
    hub.faults = [("*", 503)] * 9
    assert "did not answer" in post(thread, MARK, MARK).why
    assert len(hub.requests) == 3


def test_the_wrong_token_is_said(hub, thread_with):
    """A token that the server does not know leaves the comment out."""
    assert post(thread_with(token="other"), MARK, MARK).action == "left out"


def test_the_token_is_in_no_message(hub, thread_with):
    """Neither the outcome nor the client's own description shows the token."""
    thread = thread_with(retries=0)
    hub.faults = [("*", 500)] * 4
    assert "secret" not in post(thread, MARK, MARK).why + repr(thread)


def test_a_netrc_entry_does_not_take_the_tokens_place(hub, thread, tmp_path, monkeypatch):
    """Whatever ~/.netrc says of the host, the request carries the token that was given."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert post(thread, MARK, MARK).action == "created"


def test_a_redirect_is_not_followed(hub, thread):
    """Elsewhere nobody may have the token."""
    hub.faults = [("*", 302, {"Location": f"{hub.address}/elsewhere"})] * 2
    assert post(thread, MARK, MARK).action == "left out"
    assert not [path for _, path, _ in hub.requests if path == "/elsewhere"]


def test_an_answer_without_end_is_cut_off(hub, thread, monkeypatch):
    """What is larger than any page of comments is not read to its end."""
    monkeypatch.setattr("gate.publishers.rest.MAX_ANSWER_BYTES", 1000)
    hub.add("x" * 5000)
    assert "larger than 1000 bytes" in post(thread, MARK, MARK).why
