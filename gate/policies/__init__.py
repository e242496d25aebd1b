"""The packaged policies, their schema, and how a policy file is read and quoted by line."""
