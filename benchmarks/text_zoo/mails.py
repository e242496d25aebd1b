"""The words of an e-mail as a reader sees them: subject and beginning of the text, without headers and markup.

Between `packages` and `texts`. Names of mailing lists in brackets and `Re:` are left out of subjects: they would tell
the classes apart by themselves.
"""

import email
import email.header
import email.policy
import html
import re
from email.message import Message

MOST_CHARACTERS = 4000
"""Of the raw body; far more than the tokens to which texts are cut."""
_LIST = re.compile(r"\[[^\]]{1,40}\]|\b(re|fwd?)\s*:", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style|head)\b.*?(</\1>|\Z)|<!--.*?(-->|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]{0,2000}>")
_SIGNS = re.compile(r"([^\w\s])\1{3,}")


def words_of(raw: str) -> str:
    """Return subject and text of a raw e-mail on one line."""
    message = email.message_from_string(raw, policy=email.policy.compat32)
    subject = _LIST.sub(" ", _decoded(str(message.get("Subject") or "")))
    return one_line(f"{subject.strip()}. {plain(_body(message))}")


def plain(body: str) -> str:
    """Return a body without markup."""
    without = _TAG.sub(" ", _HIDDEN.sub(" ", body))
    return html.unescape(without)


def one_line(text: str) -> str:
    """Return a text with one space between words, without long rows of one sign and without signs of control."""
    shown = "".join(sign if sign.isprintable() else " " for sign in _SIGNS.sub(r"\1", text))
    return " ".join(shown.split())


def _decoded(subject: str) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(subject)))
    except (LookupError, ValueError):
        return subject


def _body(message: Message) -> str:
    """Return the first part that is text, as far as it is looked at."""
    part = next((one for one in message.walk() if one.get_content_maintype() == "text"), None)
    if part is None:
        return ""
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        return raw.decode(part.get_content_charset() or "latin-1", "replace")[:MOST_CHARACTERS]
    except LookupError:
        return raw.decode("latin-1")[:MOST_CHARACTERS]
