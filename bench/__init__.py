"""Where vaecodec stands: measured against its peers on the same pictures in the same run, and shown.

::

    measure.run DIR ─► rows of rate and quality, rows of time and memory ─► bench/results/RELEASE
                                                                               ├─► show.report          page, Markdown
                                                                               ├─► show.compare         what changed
                                                                               └─► show.readme_results  README's tables
    studies: one question each            digits: the VAE family
"""
