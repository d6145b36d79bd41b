"""To and from the Hugging Face Hub: models that load whole, publish themselves, and write their own cards."""
