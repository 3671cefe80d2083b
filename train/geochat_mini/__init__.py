"""geochat-mini, the bundled model: its sources, its shape, its stages and the script that runs them.

An ImageNet teacher is shown views of the photographs once. *perceive* trains the vision tower, at the chat's resolution
and at half of it, under auxiliary heads: what each patch lies on, where that object's box is, the scene class, the
teacher's features. *instruct* trains projector and language model on questions before the frozen tower, and shows the
language model where to look. *encode* trains the dual encoder on image-text pairs, its text tower by a sentence encoder
as well. Each stage is a function of the seed and its arguments, and goes on where it was stopped.

`sources` says which photographs may be used and under which terms, `classes` what their labels mean, `questions` what
is asked; `validation` and `probe` measure on the parts kept for that. Nothing here is in the installed package.
"""
