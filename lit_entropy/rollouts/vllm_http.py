"""The HTTP endpoints of a vLLM server that rollouts need."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

#: How the server has to be started; part of the errors.
START = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve FOLDER --logprobs-mode processed_logprobs "
    "--generation-config vllm"
)


class ServerError(RuntimeError):
    """A server refused a request or answered what cannot be used."""


class Server:
    """JSON requests to one server; the key is read from VLLM_API_KEY."""

    def __init__(self, url: str, timeout: float) -> None:
        """Name the server; nothing is sent.

        Args:
            url: ``http://host:port``.
            timeout: seconds until an unanswered request fails.
        """
        self.url = url.rstrip("/")
        self.timeout = timeout

    def request(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The answer to a GET, or to a POST if there is a body.

        Args:
            path: of the endpoint, ``/v1/models`` say.
            body: is sent as JSON.

        Raises:
            ServerError: the server answered with an error (``__cause__`` has its code), or with
                what is no JSON.
            ConnectionError: no answer.
        """
        headers = {"Content-Type": "application/json"}
        if os.environ.get("VLLM_API_KEY"):
            headers["Authorization"] = f"Bearer {os.environ['VLLM_API_KEY']}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise ServerError(f"{self.url}{path} answered {error.code}: {said}") from error
        except (OSError, http.client.HTTPException) as error:  # also an answer that breaks off
            raise ConnectionError(f"{self.url}{path} did not answer: {error!r}") from error
        try:
            return json.loads(text) if text else None
        except (ValueError, RecursionError) as error:
            raise ServerError(f"{self.url}{path} answered no JSON: {text[:100]!r}") from error

    def model(self, wanted: str | None) -> str:
        """The name of the served model.

        Args:
            wanted: its name; None for the only one.

        Raises:
            ValueError: the server cannot be reached, or serves another model.
        """
        try:
            served = [entry["id"] for entry in self.request("/v1/models")["data"]]
        except (ConnectionError, ServerError, KeyError, TypeError) as error:
            raise ValueError(
                f"model.engine.url={self.url}: {error!r}; start it with: {START}"
            ) from error
        if (wanted is None and len(served) != 1) or (wanted is not None and wanted not in served):
            raise ValueError(
                f"model.engine.model={wanted!r}: {self.url} serves {served}; name one of them"
            )
        return wanted or served[0]

    def weights_label(self) -> str:
        """The label of the weights in the server.

        Raises:
            ValueError: the server does not let its weights be replaced.
        """
        try:
            return str(self.request("/weight_info")["weight_version"])
        except (ServerError, KeyError, TypeError) as error:
            raise ValueError(
                f"model.engine.weights_folder is set and {self.url} does not let weights be "
                f"replaced ({error}); start it with: {START}"
            ) from error

    def load_weights(self, folder: str, label: str) -> None:
        """Replace the weights by those in a folder that the server can read, and label them.

        Raises:
            ServerError: the server refused, or kept cached prefixes of the old weights.
        """
        self.request(
            "/collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": folder}}
        )
        if not self.request("/reset_prefix_cache", {})["success"]:
            raise ServerError(
                f"{self.url} kept cached prefixes of the old weights: other requests are running; "
                "the server must be this run's alone"
            )
        self.request("/update_weight_version", {"new_version": label})
