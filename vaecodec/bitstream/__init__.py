"""Integers to bytes and back: the container, the entropy coder and its frozen tables (docs/format.md).

::

    symbols, table indices ─► coder ─► tile payloads ┐
                                ▲                    ├─► container ─► file
    weights file ─► tables ─────┘    header, metadata┘

Modules: ``varint`` numbers of variable length; ``container`` the sections of a file; ``tables`` frozen probabilities;
``coder`` the range coder and the stack; ``digest`` a fingerprint of the decoded integers. Nothing here knows pictures
or networks, and no floating point decides any byte that is read or written.
"""
