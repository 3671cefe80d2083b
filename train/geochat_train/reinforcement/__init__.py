"""Reinforcement by rewards of sampled answers (GRPO)."""
