"""What a whole default check of an image classifier of real size costs: seconds, operations, share of the peak, memory.

`python -m benchmarks.real_cost` makes nets as people promote them (MobileNetV2, ResNet, ViT at 224 × 224) with made-up
weights and images, logs them by MLflow, scans them through jailed workers, and keeps a row for each.
"""
