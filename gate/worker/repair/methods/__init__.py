"""The folder of repair methods: each file holds one, and its name is the method's id."""
