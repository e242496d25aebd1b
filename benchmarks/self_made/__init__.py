"""How often a self-made bank flags clean models of the zoo, and what it finds: two tasks and two nets of a split.

`make` trains a bank of copies for each task and net through the gate's own `bank make`; `compare` ranks every model of
that task and net beside it; `table` counts. Which tasks, nets and programs is decided by rule (`choosing`).
"""
