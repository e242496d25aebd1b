"""The strict reader of `torch.export` archives (`.pt2`): JSON and raw tensors, never code."""
