"""Detectors of what misleads a comparison: people who speak at the same time, another speed, reverberant rooms.

They weigh the statistics that the embedder makes its embeddings of. A detector belongs to one embedder, and lies
beside a system in a file of its own.
"""
