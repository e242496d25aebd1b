"""A story is what one or more commands came to; the tests that are marked with it look at the outcome."""

import pytest


def story(function, *arguments):
    """Return the mark of a test whose fixture `told` is `function(world, *arguments)`."""
    # Called with a function alone, a mark would take it for the test to be marked.
    return pytest.mark.story.with_args(function, *arguments)


def short_story(function, *arguments):
    """Return the same for a test of the quick suite: a command or two that end in seconds."""
    return pytest.mark.short_story.with_args(function, *arguments)
