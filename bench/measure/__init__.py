"""Rate, quality, time and memory of codecs, as rows."""
