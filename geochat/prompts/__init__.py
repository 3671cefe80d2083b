"""Task tokens, the conversation format, and how a question with regions becomes a prompt."""

from geochat.prompts.compose import compose
from geochat.prompts.conversation import IMAGE_TOKEN, SYSTEM_PROMPT, Message, chat_messages, chat_template
from geochat.prompts.tasks import (
    DEFAULT_QUESTIONS,
    Task,
    refer_question,
    scene_question,
    task_of,
    vqa_question,
)

__all__ = [
    "DEFAULT_QUESTIONS",
    "IMAGE_TOKEN",
    "SYSTEM_PROMPT",
    "Message",
    "Task",
    "chat_messages",
    "chat_template",
    "compose",
    "refer_question",
    "scene_question",
    "task_of",
    "vqa_question",
]
