"""HTTP: one route table (`routes.py`) from which dispatch, validation, OpenAPI and the documentation page come.

`rsgi.py` and `asgi.py` turn a server's request into a `Request` and hand it to `App` (`app.py`), which finds the route,
the caller and the input, and calls one of `calls.py`. Nothing in here knows a store.
"""
