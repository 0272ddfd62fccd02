"""A small HTTP server with the endpoints of ``vllm serve`` that rollouts use, and a real model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine

#: An answer that ends so breaks off before its end.
BROKEN = b"..."


class State:
    """What the server holds: its model, the label of the weights and the requests it has seen."""

    def __init__(self, model: str, dev_mode: bool = True) -> None:
        self.policy = Policy(model)
        self.dev_mode = dev_mode
        self.label = "default"
        self.lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.end_at: int | None = None  # an id that this server ends responses at
        self.refuses = ""  # a path that answers 500
        self.says: dict[str, bytes] = {}  # what a path answers, whatever it is asked

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        completions = LocalEngine().generate(
            self.policy,
            [body["prompt"]],
            torch.zeros(1, dtype=torch.int64),
            torch.zeros(1, dtype=torch.int64),
            max_new_tokens=body["max_tokens"],
            temperature=body["temperature"],
            keys=(body.get("seed", 0),),
        )
        tokens = completions.tokens_BT[0].tolist()
        truncated = bool(completions.truncated_B[0])
        if self.end_at is not None:
            tokens[-1], truncated = self.end_at, False
        choice = {
            "token_ids": tokens,
            "logprobs": {"token_logprobs": completions.logprobs_BT[0].tolist()},
            "finish_reason": "length" if truncated else "stop",
        }
        return {"choices": [choice]}

    def load(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["method"] == "reload_weights"
        files = sorted(Path(body["kwargs"]["weights_path"]).glob("*.safetensors"))
        weights = {name: value for file in files for name, value in load_file(file).items()}
        self.policy.model.load_state_dict(weights)
        return {"results": [None]}

    def relabel(self, body: dict[str, Any]) -> dict[str, Any]:
        self.label = body["new_version"]
        return {"success": True}


def _handler(state: State) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self, body: dict[str, Any] | None) -> None:
            routes = {
                "/v1/models": lambda body: {"data": [{"id": "tiny"}]},
                "/v1/completions": state.complete,
            }
            if state.dev_mode:
                routes |= {
                    "/weight_info": lambda body: {"weight_version": state.label},
                    "/collective_rpc": state.load,
                    "/reset_prefix_cache": lambda body: {"success": True},
                    "/update_weight_version": state.relabel,
                }
            with state.lock:
                state.requests.append((self.path, body or {}))
                known = self.path in routes
                answer = routes[self.path](body) if known else {"detail": "Not Found"}
            data = state.says.get(self.path, json.dumps(answer).encode())
            code = 500 if self.path == state.refuses else 200
            self.send_response(code if known else 404)
            # an answer that breaks off is shorter than it says
            self.send_header("Content-Length", str(len(data) + 10 * data.endswith(BROKEN)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, *arguments: Any) -> None:
            return None

    return Handler


@contextmanager
def serve(state: State) -> Iterator[str]:
    """Run the server in a thread; gives its URL."""
    ThreadingHTTPServer.request_queue_size = 512
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
