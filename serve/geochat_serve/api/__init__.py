"""The HTTP API: questions about images, and searches of whole scenes as jobs.

`build_api` returns its application and `ApiRoutes` answers its routes; docs/api.md describes it.
"""

from geochat_serve.api.routes import ApiRoutes, build_api

__all__ = ["ApiRoutes", "build_api"]
