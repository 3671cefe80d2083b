"""Training of geochat-mini, the bundled model: its sources, architecture, stages and script.

An ImageNet teacher encodes views of the photographs once. *perceive* trains the vision tower, at the chat's resolution
and at half of it, with auxiliary heads: the category of each patch, the box of its object, the scene class, the
teacher's features. *instruct* trains projector and language model on questions with the tower frozen, and supervises
where the language model attends. *encode* trains the dual encoder on image-text pairs, with a sentence encoder as a
second teacher of its text tower. Each stage is a function of the seed and its arguments, and resumes after an
interruption.

`sources` defines the permitted photographs and their terms, `classes` the meaning of their labels, `questions` the
questions; `validation` and `probe` measure on the validation parts. Nothing here is in the installed package.
"""
