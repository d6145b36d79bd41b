"""Overlapped speech: recordings in which people speak at the same time are told by the statistics of the embedder.

The embedding of such a recording is of none of them, and a likelihood ratio of it means nothing. A detector belongs to
one embedder, whose last feature map it weighs, and lies beside a system in `overlapped_speech.safetensors`.
"""
