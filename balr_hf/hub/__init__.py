"""Publishing models and corpora on the Hugging Face Hub, with the cards that describe them."""
