"""Client of `geochat serve`: questions about images and searches of scenes, computed on the server.

    with Client("http://127.0.0.1:7860") as client:
        answer = client.ask("scene.tif", "where are the planes?")
        search = client.find("scene.tif", ["ships"])
        search.wait().save("ships.gpkg")

Nothing here imports torch, and what else is slow is imported when it is needed.
"""

from geochat.client.answer import RemoteAnswer, RemoteStream
from geochat.client.client import Client
from geochat.client.search import RemoteSearch, SearchProgress

__all__ = ["Client", "RemoteAnswer", "RemoteSearch", "RemoteStream", "SearchProgress"]
