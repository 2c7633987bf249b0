"""Where vaecodec stands: measured against its peers on the same pictures in the same run, and shown.

::

    bench.run DIR ─► rows of rate and quality, rows of time and memory ─► bench/results/RELEASE
                                                                              ├─► bench.report          page, Markdown
                                                                              ├─► bench.compare         what changed
                                                                              └─► bench.readme_results  README's tables
"""
