"""The weights of a pipeline's folder, changed."""

from safetensors.torch import load_file, save_file


def changed(root, change):
    """Change the weights of a folder."""
    path = root / "model" / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
