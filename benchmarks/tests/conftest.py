"""The committed models, by the fixtures of the product's own tests: benchmarks may use what the gate is tested with."""

from tests.conftest import zoo_images, zoo_model, zoo_samples

__all__ = ["zoo_images", "zoo_model", "zoo_samples"]
