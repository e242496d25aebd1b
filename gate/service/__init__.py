"""`gate serve`: webhooks, durable checks, a poll, guarded aliases and review pages. It loads no model."""
