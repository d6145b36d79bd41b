"""binary attributes -> log-likelihood ratios: scorers, the counts that they are fitted on, and trial lists."""
