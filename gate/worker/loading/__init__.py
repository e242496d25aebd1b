"""From bytes to a `Subject`: find the model in the artifact, read it, put preprocessing around it, read the samples.

The scan worker's half; everything here may import torch and nothing here may import mlflow. Whatever cannot be examined
raises `UnexaminableError` with the reason, which ends up in the evidence.
"""
