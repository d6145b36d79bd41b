"""The earlier name of `balr_hf.data.vectors`."""

from balr_hf.data.vectors import VectorError, VectorFinder, read_vector, vector_path, write_vector

__all__ = ["VectorError", "VectorFinder", "read_vector", "vector_path", "write_vector"]
