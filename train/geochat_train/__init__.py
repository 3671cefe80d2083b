"""Training: instruction tuning, contrastive pre-training, prompt learning, and their recipes."""
