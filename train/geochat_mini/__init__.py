"""geochat-mini, the bundled model: its shape, its material, its stages and the script that runs them.

A teacher is shown views of the photographs once. Stage one trains a dual encoder on image-text pairs at low resolution,
its tower also by a tutor: heads that ask patches what they lie on and where, and what the teacher sees. The
position embeddings are then interpolated to the chat's resolution, as GeoChat does with CLIP's, and stage two goes on
there with the tutor alone, on all scenes. Stage three trains projector and language model on instruction
conversations before the frozen tower. Stage four goes on with more questions about places, and shows the language
model where to look.
"""
