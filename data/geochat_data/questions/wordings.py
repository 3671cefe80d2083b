"""Wordings of questions, and those that training never uses.

Each kind of question has the published wordings, variants for training, and held-out ones, which show whether a model
understands the question or has memorised the sentence.
"""

from dataclasses import dataclass
from typing import Literal

WordingPool = Literal["published", "varied", "held out"]


@dataclass(frozen=True, slots=True)
class Wordings:
    """The wordings of one kind of question, as format strings.

    Attributes:
        published: Wordings of GeoChat, or the first of this project.
        varied: Variants, for training.
        held_out: For evaluation; never trained on.
    """

    published: tuple[str, ...]
    varied: tuple[str, ...]
    held_out: tuple[str, ...]

    def pool(self, choice: WordingPool) -> tuple[str, ...]:
        """The wordings of one pool."""
        if choice == "held out":
            return self.held_out
        return self.published if choice == "published" else (*self.published, *self.varied)


SCENE = Wordings(
    ("Classify the image within one of the given classes: {classes}. Answer with one word or short phrase.",),
    (
        "Which of these classes fits the image: {classes}? Answer with one word or short phrase.",
        "What kind of scene is this? Choose from: {classes}. Answer with one word or short phrase.",
        "Classify this scene as one of: {classes}. Answer with one word or short phrase.",
    ),
    (
        "Pick the category that describes this picture best: {classes}. Answer with one word or short phrase.",
        "Is this {classes}? Name the one that applies. Answer with one word or short phrase.",
    ),
)
CAPTION = Wordings(
    (
        "Describe the image.",
        "Describe the image in one sentence.",
        "What does the image show?",
        "Write a short caption for the image.",
        "Please describe this aerial image briefly.",
    ),
    (
        "Summarize the image in a sentence.",
        "What can be seen in this aerial photograph?",
        "Give a brief description of the scene.",
        "Caption this image.",
        "Describe this image in detail.",
    ),
    ("Tell me what this picture is of.", "In a few words, what is going on down there?"),
)
PRESENCE = Wordings(
    (
        "Is there {one} in the image?",
        "Is {one} present in the image?",
        "Are there any {many} in the image?",
        "Does the image show {one}?",
    ),
    (
        "Can you see {one}?",
        "Are {many} visible in this image?",
        "Does this scene contain any {many}?",
        "Is at least one {name} visible?",
    ),
    ("Do you spot {one} anywhere?", "Would I find {many} here?"),
)
COUNT = Wordings(
    (
        "How many {many} are there in the image?",
        "What is the number of {many} in the image?",
        "How many {many} can be seen?",
    ),
    (
        "Count the {many}.",
        "How many {many} does the image show?",
        "What is the total number of {many}?",
    ),
    ("Tell me how many {many} you find.", "The number of {many} here is?"),
)
COMPARISON = Wordings(
    ("Are there {word} {first} than {second} in the image?",),
    (
        "Does the image show {word} {first} than {second}?",
        "Can you see {word} {first} than {second}?",
    ),
    ("Compared with {second}, are there {word} {first}?", "Is it true that there are {word} {first} than {second}?"),
)
POSITION = Wordings(
    ("Where is {thing} in the image?",),
    (
        "In which part of the image is {thing}?",
        "Where in the image can {thing} be found?",
        "What is the position of {thing} in the image?",
    ),
    ("Whereabouts is {thing}?", "Which area of the picture holds {thing}?"),
)
COLOUR = Wordings(
    ("What is the color of {thing}?",),
    ("What color is {thing}?", "Which color does {thing} have?", "Name the color of {thing}."),
    ("{thing} is of what color?", "How would you describe the color of {thing}?"),
)
IDENTIFY = Wordings(
    ("What is the object present at",),
    ("What is at", "Identify the object at", "Name the object in this region:", "What object is in"),
    ("What am I looking at here:", "Tell me what lies within"),
)
REFER = Wordings(
    ("Give me the location of <p> {phrase} </p>",),
    (
        "Where is <p> {phrase} </p> ?",
        "Locate <p> {phrase} </p>",
        "Find <p> {phrase} </p>",
        "Show <p> {phrase} </p> in the image",
    ),
    ("Point out <p> {phrase} </p>", "Mark <p> {phrase} </p> for me"),
)
GROUNDING = Wordings(  # some wordings are CAPTION's too, so that boxes are asked for by the task token
    (
        "Describe the image in detail with the positions of the objects.",
        "Describe the image with the positions of the objects.",
        "Give a description of the image and locate its objects.",
        "What objects are in the image and where are they?",
    ),
    (
        "Describe what you see and mark every object.",
        "Describe the scene, with a box for each object.",
        "List the objects in the image with their locations.",
        "Describe this image in detail.",
        "Describe the image.",
    ),
    (
        "Walk me through the picture and point at each thing.",
        "Explain the image and box all that you mention.",
    ),
)
NEGATIVE = Wordings(
    ("Where are the {many} in the image?",),
    (
        "What color is the {name} in the image?",
        "Which {name} is the largest?",
        "Describe the {name} in the image.",
        "How are the {many} arranged?",
    ),
    ("What are the {many} doing?", "Tell me about the {name}."),
)
