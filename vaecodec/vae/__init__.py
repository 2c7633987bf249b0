"""The VAE family: autoencoders and variational autoencoders of small items, from training to files.

::

    items ─► networks (float) ─► training ─► export ─► weights file
    items ─► arrays ─► exact ─► bits_back, or latents in steps ─► section + stream ─► file

``settings`` has the list of layers that the float and the exact networks, the rounding and the check of weights files go by.
"""
