"""Models behind any OpenAI-compatible server: vLLM, SGLang, llama.cpp, or a hosted service.

>>> engine = OpenAIEngine.connect("http://localhost:8000/v1", dialect="geochat")
>>> GeoChat(engine).ask("scene.tif", "How many ships are there?")
"""

from geochat.engines.openai.connection import RemoteLimits
from geochat.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine", "RemoteLimits"]
