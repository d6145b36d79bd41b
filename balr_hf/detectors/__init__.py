"""Detectors of what makes a comparison meaningless: people who speak at the same time, and speech at another speed.

They weigh the statistics that the embedder makes its embeddings of. A detector belongs to one embedder, and lies
beside a system in a file of its own.
"""
