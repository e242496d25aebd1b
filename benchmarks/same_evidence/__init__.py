"""Whether two states of the program see the same in the committed models, value by value."""
