"""The first bundled model: its shape, its two training stages and the script that runs them.

Stage one teaches the vision tower at low resolution, by scene class and by a dense box loss. The position embeddings
are then interpolated to the resolution of the chat, as GeoChat does with CLIP's, and stage two trains tower, projector
and language model together on instruction conversations.
"""
