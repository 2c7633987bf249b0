"""Pictures to files and back.

::

    picture ─► encoder: samples ─► tiles ─► latents ─► symbols ─► container ─► file
    picture ◄─ decoder: samples ◄─ exact synthesis ◄─ latents ◄─ symbols ◄─ container ◄─ file

``codec`` is the façade, ``options`` what a caller may ask for, ``model`` one loaded model and a tile's symbols, ``stored`` what
libraries store, ``rate_control`` the search for a target.
"""
