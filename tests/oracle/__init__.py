"""The consumer is the oracle: folders of well-formed parts, judged by the gate and opened by those who serve them.

A generator composes mutations of containers, `MLmodel` keys, environments, further files, names and programs on clean
programs that have a poisoned twin. What is asked of every folder: *approved means that every consumer's loader yields
the program that was judged, that no payload runs, and that pip's and MLflow's own parsers of the environment yield
packages from the list alone*. Whether the gate names a reason is not asked: only what it approves.

    python -m tests.oracle --count 5000 --seed 0 --out DIR     # goes on where it stopped
    python -m tests.oracle --only 17                           # one folder, told in full
    python -m tests.oracle prove --gate PATH                   # which known holes a gate's executable has
"""
