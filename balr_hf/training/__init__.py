"""Fits the binary-attribute autoencoder: arguments, losses, samplers and the Accelerate loop."""
