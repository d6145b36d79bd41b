"""binary attributes -> log-likelihood ratios: scorers, the statistics they are fitted on, and trial lists."""
