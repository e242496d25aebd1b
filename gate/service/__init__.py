"""`gate serve`: what stands in front of production around the clock.

It hears the registry's webhooks, runs each check as a durable workflow, looks for what no webhook tells, guards the
protected aliases, and shows reviewers what waits. It holds credentials and the signing key, and loads no model.
"""
