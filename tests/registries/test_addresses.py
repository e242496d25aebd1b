"""The grammar of addresses: what fits it is read in one way, and what does not is refused with a reason."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.records.addresses import (
    Address,
    AddressError,
    is_reference,
    parse_address,
    parse_server,
    parse_store,
    suggested_store,
)

READ = {
    "s3://models/mlflow/1/x": Address("s3", "models", ("mlflow", "1", "x")),
    "gs://models/": Address("gs", "models"),
    "wasbs://box@account.blob.core.windows.net/a": Address("wasbs", "box@account.blob.core.windows.net", ("a",)),
    "abfss://box@account.dfs.core.windows.net/a": Address("abfss", "box@account.dfs.core.windows.net", ("a",)),
    "https://Artifacts.Example:443/a%20b": Address("https", "artifacts.example", ("a%20b",)),
    "https://artifacts.example:8443/a": Address("https", "artifacts.example:8443", ("a",)),
    "http://[0:0::1]:80/a": Address("http", "[::1]", ("a",)),
    "https://xn--bcher-kva.example/a": Address("https", "xn--bcher-kva.example", ("a",)),
    "mlflow-artifacts:/1/abc/artifacts": Address("mlflow-artifacts", "", ("1", "abc", "artifacts")),
    "mlflow-artifacts://host:5000/1": Address("mlflow-artifacts", "host:5000", ("1",)),
    "/srv/mlruns/1": Address("file", "", ("srv", "mlruns", "1")),
    "file:///srv/mlruns/1/": Address("file", "", ("srv", "mlruns", "1")),
    "file:/srv": Address("file", "", ("srv",)),
}

REFUSED = {
    "http://user:password@host/a": "user name",
    "https://host@evil.example/a": "user name",
    "s3://key:secret@bucket/a": "bucket",
    "s3://arn:aws:s3:us-east-1:1:accesspoint/a/b": "bucket",
    "s3://Bucket/a": "bucket",
    "s3:bucket/a": "names no host",
    "https://host/a/../b": "'..'",
    "https://host/a/%2e%2e/b": "'..'",
    "https://host/a/%252e%252e/b": "more than once",
    "https://host/a/\uff0e\uff0e/b": "'..'",
    "https://host/a//b": "empty segment",
    "https://host/a\\..\\b": "character",
    "https://host/a%2fb": "character",
    "https://host/a%5cb": "character",
    "https://host/a\uff0fb": "character",
    "https://host/a?versionId=1": "character",
    "https://host/a#b": "character",
    "https://host/a;b": "character",
    "https://host/a\nb": "character",
    "https://host/%ff": "UTF-8",
    "https://host/50%": "halfway",
    "https://b\u00fccher.example/a": "xn--",
    "https://ho\u2024st/a": "ASCII",
    "https://host./a": "no host",
    "https:///a": "no host",
    "https://host\\@evil/a": "user name",
    "https://127.1/a": "IPv4",
    "https://2130706433/a": "IPv4",
    "https://0x7f.0.0.1/a": "no host|IPv4",
    "https://127.0.0.0x1/a": "IPv4",
    "https://[::1/a": "no host",
    "https://[:::]/a": "IPv6",
    "https://host:0/a": "port",
    "https://host:00443/a": "port",
    "https://host:99999/a": "port",
    "https://host:/a": "port",
    "wasbs://box@account.blob.core.evil.example/a": "container",
    "abfss://box@evil.example/a": "container",
    "ftp://host/a": "scheme",
    "hdfs://host/a": "scheme",
    "HTTPS://host/a": "scheme",
    "file://host/a": "relative",
    "mlruns/1": "scheme",
    "": "scheme",
    "file:relative": "relative",
    "s3://bucket/" + 5000 * "a": "longer",
}


@pytest.mark.parametrize(("text", "address"), READ.items(), ids=READ)
def test_an_address_is_read_in_its_one_form(text, address):
    """Case of hosts, a scheme's own port and a last slash make no difference."""
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(("text", "why"), REFUSED.items(), ids=[repr(text)[:40] for text in REFUSED])
def test_what_two_readers_could_read_differently_is_refused(text, why):
    """The reason is said."""
    with pytest.raises(AddressError, match=why):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "why"),
    {
        "http://artifacts.example/a": "clear text",
        "mlflow-artifacts:/a": "tracking server",
        "file:///": "whole disk",
        "s3://bucket/a b": "prefix",
        "s3://bucket/a%20b": "prefix",
        "s3://*/a": "bucket",
        "s3://bucket/*": "prefix",
        "bucket": "scheme",
    }.items(),
)
def test_a_store_that_a_policy_cannot_list_is_refused(text, why):
    """No wildcard, no escapes, nothing in clear text but on this machine itself."""
    with pytest.raises(AddressError, match=why):
        parse_store(text)


@pytest.mark.parametrize(
    ("text", "store", "inside"),
    [
        ("s3://bucket/ml/1/a", "s3://bucket/ml", True),
        ("s3://bucket/ml", "s3://bucket/ml/", True),
        ("s3://bucket/ml-other/1", "s3://bucket/ml", False),
        ("s3://bucket/m%6c/1", "s3://bucket/ml", False),
        ("s3://bucket-two/ml/1", "s3://bucket", False),
        ("gs://bucket/ml/1", "s3://bucket/ml", False),
        ("https://host:444/a", "https://host/a", False),
        ("https://host:443/a", "https://HOST/a", True),
        ("https://host.evil.example/a", "https://host", False),
        ("https://sub.host.example/a", "https://host.example", False),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000", True),
    ],
)
def test_a_store_covers_whole_segments_of_its_own_host(text, store, inside):
    """A prefix is no prefix of characters."""
    assert parse_address(text).within(parse_store(store)) is inside


def test_the_login_in_the_operators_own_uri_is_no_part_of_the_servers_address():
    """A database is no server; what cannot be a server's address is refused."""
    assert parse_server("https://user:word@Host:443/mlflow/") == Address("https", "host", ("mlflow",))
    assert parse_server("sqlite:////srv/mlflow.db") is None
    with pytest.raises(AddressError, match="port"):
        parse_server("http://host:port")


@pytest.mark.parametrize(
    ("text", "reference"),
    {
        "runs:/0123456789abcdef0123456789abcdef/samples.npz": True,
        "runs:/0123456789abcdef0123456789abcdef/a/../../b": False,
        "runs:/abc": False,
        "runs://evil.example/abc/samples.npz": False,
        "models:/credit/3": True,
        "models:/credit/3/samples.npz": True,
        "models:/credit@champion/samples.npz": True,
        f"models:/m-{32 * 'a'}": True,
        "models://evil.example/credit/3": False,
        "models:/credit/3/%2e%2e/x": False,
        "https://evil.example/x": False,
        "/etc/passwd": False,
        "file:///etc/passwd": False,
        "samples.npz": False,
        " runs:/abc/x": False,
        "RUNS:/abc/x": False,
    }.items(),
)
def test_a_tag_may_name_references_alone(text, reference):
    """`runs:/` and `models:/` of the same registry, and no path or address."""
    assert is_reference(text) is reference


def test_the_suggested_store_is_what_stands_before_mlflows_own_folders():
    """So that one line covers every experiment."""
    run, model = 32 * "a", f"m-{32 * 'b'}"
    assert str(suggested_store(parse_address(f"s3://bucket/ml/7/{run}/artifacts/x"))) == "s3://bucket/ml"
    assert str(suggested_store(parse_address(f"s3://bucket/7/models/{model}/artifacts"))) == "s3://bucket"
    assert str(suggested_store(parse_address("gs://bucket/by/hand"))) == "gs://bucket/by/hand"


_PIECES = st.sampled_from(
    [
        *("s3", "http", "https", "file", ":", "/", "//", "@", "..", ".", "%2e", "%2F", "%", "host", "evil.example"),
        *("[::1]", "127.0.0.1", ":80", ":443", "\\", "?", "#", ";", " ", "\t", "\n", "\uff0f", "\u3002", "xn--a", "A"),
    ]
)


@given(st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=12).map("".join)))
def test_whatever_is_read_is_read_alike_by_the_library_that_connects(text):
    """Host and path of an accepted address are what urllib reads, and no reading of it climbs."""
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address
    if address.scheme in {"http", "https"}:
        parts = urlsplit(text)
        port = "" if parts.port in {None, {"http": 80, "https": 443}[address.scheme]} else f":{parts.port}"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        assert parse_address(f"{address.scheme}://{host}{port}").host == address.host
        assert (parts.username, parts.password, parts.query, parts.fragment) == (None, None, "", "")
    for segment in address.path:
        assert unquote(segment) not in {"", ".", ".."}
        assert not set(unquote(segment)) & set("/\\?#;\n\r\t\0")


_SEGMENT = st.text("abcxyz0189._~+=@,:-", min_size=1, max_size=6).filter(lambda text: text not in {".", ".."})
_STORE = st.builds(
    lambda host, path: Address("s3", host, tuple(path)),
    st.sampled_from(["bucket", "bucket-two", "bucket.three"]),
    st.lists(_SEGMENT, max_size=3),
)


@given(_STORE, _STORE, st.lists(_SEGMENT, max_size=3))
def test_what_lies_below_a_store_is_within_it_and_a_sibling_is_not(store, other, path):
    """Being within is what whole segments say, whichever two addresses are compared."""
    assert store.below(*path).within(store)
    if other.within(store):
        assert f"{other}/".startswith(f"{store}/")
    if store.path:
        renamed = Address("s3", store.host, (*store.path[:-1], store.path[-1] + "x"))
        assert not renamed.below(*path).within(store)
