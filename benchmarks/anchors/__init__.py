"""Published figures of other tools beside the gate's own, each of the latter from kept rows alone."""
