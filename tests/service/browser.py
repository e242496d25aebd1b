"""A reviewer before headless Chromium: signed in by basic authentication, without JavaScript, at the keyboard."""

import shutil
from contextlib import contextmanager

import pytest

_PATIENCE = 120_000
"""Milliseconds; the page asks a registry that hashes passwords, on a machine that may be busy."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium():
    """Return where Chromium is installed, None where it is not."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


needs_chromium = pytest.mark.skipif(chromium() is None, reason="Chromium (Debian: chromium) is not installed")


@contextmanager
def reviewing(address, name="", password="", headers=None):
    """Yield a page of a browser in which nothing runs scripts, with an account's or a proxy's word for who it is."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            known = {"http_credentials": {"username": name, "password": password}} if name else {}
            context = browser.new_context(
                base_url=address, java_script_enabled=False, extra_http_headers=headers or {}, **known
            )
            context.set_default_timeout(_PATIENCE)
            yield context.new_page()
        finally:
            browser.close()


def tab_to(page, role, name, most=40):
    """Press Tab until the element with this role and accessible name has the focus; return it."""
    from playwright.sync_api import expect

    wanted = page.get_by_role(role, name=name, exact=True)
    expect(wanted).to_have_count(1)
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return wanted
    raise AssertionError(f"Tab never reached the {role} {name!r}")


def decide(page, outcome, reason):
    """Fill a version's form and send it without a mouse."""
    tab_to(page, "textbox", "Reason (is signed and logged)")
    page.keyboard.type(reason)
    tab_to(page, "button", outcome)
    page.keyboard.press("Enter")
