"""Integer arithmetic carried by float tensors: layers, the proof of their bounds, rounding, the coder's tables."""
