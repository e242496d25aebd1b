"""Explanations of a registry that cannot be reached: its address, the name service, the network, TLS, the time."""

import re

from gate.records.errors import GateError, RegistryError, UsageError
from gate.records.logins import without_logins
from gate.registries.mlflow_failure import Failure

_CORRECT = "Correct MLFLOW_TRACKING_URI (and MLFLOW_REGISTRY_URI), or pass --tracking-uri."
_PEER = re.compile(r"host='([^']+)', port=(\d+)")


def of_address(failure: Failure) -> GateError | None:
    """Explain a tracking URI that is invalid, which is the operator's mistake, or that leads nowhere."""
    shown = failure.server.shown
    if failure.any("InvalidURL", "InvalidUrlException", "LocationParseError", "InvalidSchema", "MissingSchema"):
        return UsageError(
            f"{shown!r} is no address of a tracking server; expected http(s)://HOST[:PORT][/PATH]", what_to_do=_CORRECT
        )
    if failure.any("NoSuchModuleError", *(name for name in failure.names if "Unsupported" in name and "URI" in name)):
        expected = "expected http(s)://, or a database such as sqlite:///mlflow.db"
        return UsageError(f"{shown!r} is no kind of registry that MLflow knows; {expected}", what_to_do=_CORRECT)
    if failure.any("InvalidHeader"):
        return UsageError(
            "the token, user name or password for the registry holds what no header may hold, such as a line's end",
            what_to_do="Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD, without it.",
        )
    if failure.says("filesystem tracking backend", "filesystem model registry backend"):
        return RegistryError(
            f"{shown!r} is a folder of files, which MLflow 3 no longer takes for a registry; name a server or database",
            what_to_do="Move it once with `mlflow migrate-filestore`, and name the new store: sqlite:///mlflow.db.",
        )
    if failure.says("Databricks credential", "databricks-sdk"):
        return RegistryError(
            f"{failure.what} cannot be read from Databricks: its client or its credentials are missing",
            what_to_do="Install databricks-sdk beside the gate, and set DATABRICKS_HOST and DATABRICKS_TOKEN.",
        )
    return None


def of_network(failure: Failure) -> GateError | None:
    """Explain why no answer came over the network."""
    server, what = failure.server, failure.what
    if failure.any("ProxyError"):
        return RegistryError(
            f"the proxy between the gate and {server.host} did not pass the request on",
            what_to_do="Correct HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY.",
        )
    peer = _PEER.search(failure.text)
    if peer is not None and server.is_remote and peer[1] != server.host:
        return RegistryError(
            f"{without_logins(':'.join(peer.groups()))}, where the registry keeps {what}, did not answer"
            f"{failure.brackets}",
            what_to_do="Look whether this machine reaches that store; `gate doctor` lists the stores in use.",
        )
    if failure.any("SSLError", "SSLCertVerificationError"):
        return _of_tls(failure)
    if failure.any("NameResolutionError", "gaierror") and server.is_remote:
        return RegistryError(
            f"the host {server.host!r} of the tracking URI is unknown to this machine's name service (DNS)",
            what_to_do="Correct MLFLOW_TRACKING_URI or --tracking-uri, or look whether its network or VPN is there.",
        )
    return _of_silence(failure) if server.is_remote else None


def _of_silence(failure: Failure) -> GateError | None:
    server, what = failure.server, failure.what
    if failure.any("ReadTimeoutError", "ConnectTimeoutError", "ReadTimeout", "ConnectTimeout", "Timeout"):
        times = "once" if server.retries == 0 else f"{server.retries + 1} times"
        return RegistryError(
            f"{server.shown} did not answer for {what} within {server.timeout_seconds} s, asked {times}",
            what_to_do="Look at the server and the network; --registry-timeout and --registry-retries say how long the "
            "gate waits.",
        )
    if failure.any("ConnectionRefusedError"):
        return RegistryError(
            f"nothing listens at {server.shown} (connection refused)",
            what_to_do="Start the MLflow server, or correct MLFLOW_TRACKING_URI or --tracking-uri; from a container, "
            "localhost is the container itself.",
        )
    if failure.says("network is unreachable", "no route to host"):
        return RegistryError(
            f"no network leads to {server.host}", what_to_do="Look whether the machine's network or VPN is there."
        )
    if failure.any("ProtocolError", "RemoteDisconnected", "ConnectionResetError", "IncompleteRead"):
        return RegistryError(
            f"{server.shown} closed the connection without an answer for {what}",
            what_to_do="Write https:// if it speaks TLS; otherwise look at its log.",
        )
    return None


def _of_tls(failure: Failure) -> GateError:
    server = failure.server
    if failure.says("WRONG_VERSION_NUMBER", "record layer failure"):
        return RegistryError(
            f"{server.shown} does not speak TLS", what_to_do="Write http:// in the tracking URI, or name its TLS port."
        )
    if failure.says("certificate has expired"):
        why = "has expired"
    elif failure.says("hostname mismatch", "ip address mismatch", "doesn't match"):
        why = "is of another host"
    else:
        why = "is of no authority that this machine trusts"
    return RegistryError(
        f"the TLS certificate of {server.host} {why}, and nothing was sent",
        what_to_do="Have it renewed or made for this host, or name your own authority's certificate in "
        "MLFLOW_TRACKING_SERVER_CERT_PATH.",
    )
