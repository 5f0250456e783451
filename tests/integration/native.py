"""The API of our own, /v1, as tests call it."""
import json
from urllib.parse import urlencode

# A type of rooms with a history of 100.
HISTORY = {"ENCKE_ROOMS": "group", "ENCKE_ROOMS_GROUP_HISTORY_MESSAGES": "100"}
JSON = {"Content-Type": "application/json"}
PUSH = {"room": "live://walk", "op": 1000, "body": "x"}


class Api:
    def __init__(self, http):
        self.http = http

    def call(self, method, target, body=None, headers=None):
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body).encode(), {**JSON, **(headers or {})}
        status, got, text = self.http.call(method, target, body=body, headers=headers)
        assert got["Content-Type"].startswith("application/json"), (target, status, text)
        return status, json.loads(text)

    def ok(self, method, target, body=None, headers=None):
        status, reply = self.call(method, target, body, headers)
        assert status == 200, (target, status, reply)
        return reply

    def push(self, **fields):
        return self.ok("POST", "/v1/pushes", {"op": 1000, "body": "hi", **fields})

    def history(self, **query):
        return self.ok("GET", "/v1/history?" + urlencode(query))

    def fault(self, method, target, body=None, headers=None, status=400):
        got, reply = self.call(method, target, body, headers)
        assert got == status, (target, body, got, reply)
        assert set(reply) == {"error"} and set(reply["error"]) == {"field", "message"}, reply
        assert isinstance(reply["error"]["message"], str)
        return reply["error"]["field"]
