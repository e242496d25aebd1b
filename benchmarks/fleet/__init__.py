"""A fleet of many versions, killed twice: whether each decision is made once, and what it costs as planned."""
