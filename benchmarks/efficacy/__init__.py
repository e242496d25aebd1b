"""How well the gate tells backdoored models from clean ones, measured over one split of the zoo."""
