"""Instruction data: readers of labelled imagery, question builders, synthetic scenes, indexing and collation."""
