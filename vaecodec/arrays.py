"""Arrays of small items to files and back, and new items from nothing: the public names of :mod:`vaecodec.vae`."""

from vaecodec.vae.arrays import ArrayCodec, EncodedArray, array_info, codec_for_items, find_array_codec_for

__all__ = ["ArrayCodec", "EncodedArray", "array_info", "codec_for_items", "find_array_codec_for"]
