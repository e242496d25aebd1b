"""The zoo: small image classifiers, clean and backdoored, trained on real data by written-down recipes.

The flow, one way: `splits` names every model and its seed; `recipe` draws from it how the model is trained; `tasks`
gives the data; an attack of `attacks/` poisons them or wraps the model; `training` fits, `measuring` measures, `export`
turns it into the file that a registry would hold, and `store` keeps it in a cache outside git. `index.jsonl` beside
this file is what is committed: recipes, measurements and digests. `python -m benchmarks.zoo` does all of it.

`subset` commits a few of the models for the tests; `packaged` has real models from packages beside the small ones.
"""
