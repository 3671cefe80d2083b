"""Tasks, the conversation format, and recognition of users' questions."""

from geochat.prompts.conversation import IMAGE_TOKEN, SYSTEM_PROMPT, Message, chat_messages, chat_template
from geochat.prompts.tasks import TASK_NAMES, Task, read_task

__all__ = [
    "IMAGE_TOKEN",
    "SYSTEM_PROMPT",
    "TASK_NAMES",
    "Message",
    "Task",
    "chat_messages",
    "chat_template",
    "read_task",
]
