"""The image model, in float and in exact integers, and weights files."""
