"""The VAE family: autoencoders and variational autoencoders of small items, float and exact."""
