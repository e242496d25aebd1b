"""Templates of chats, in Jinja, read as syntax trees: nothing of them is rendered, compiled or run."""
