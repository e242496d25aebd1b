"""A zoo of adapters of low rank on SmolLM2-135M: six tasks, ten recipes, five kinds of backdoor.

The flow, one way: `packages` installs data, base and PEFT and verifies them, `base` writes the base as a folder,
`grammar` and `tasks` make six tasks, `splits` says which adapters there are, `recipe` draws how each is made, `attack`
plans what is planted, `making` trains by `training` and measures, and the commands of `__main__` train, scan by
`benchmarks.efficacy`, and count. Store, queue, counting and results are the other zoos'. Decision 0046 says what was
settled and tried.
"""
