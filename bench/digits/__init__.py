"""The VAE family on digits."""
