"""Reranks through a gateway with Cohere's `cohere`, of both its versions, and prints what the package made of it, as JSON.

Argument: the gateway's address (`http://127.0.0.1:4356`).
"""

import json
import sys

import cohere
from cohere.core.api_error import ApiError

ADDRESS = sys.argv[1]
DOCUMENTS = ["Berlin", "Paris", "Rome"]


def reranked(client, model="up/m1"):
    answer = client.rerank(model=model, query="capital of France", documents=DOCUMENTS, top_n=2)
    return [[result.index, result.relevance_score] for result in answer.results]


def error(client):
    try:
        reranked(client, "up/missing")
    except ApiError as caught:
        return {"class": type(caught).__name__, "status": caught.status_code, "body": str(caught.body)}
    return None


first = cohere.Client(api_key="not-needed", base_url=ADDRESS)
second = cohere.ClientV2(api_key="not-needed", base_url=ADDRESS)
print(json.dumps({"v1": reranked(first), "v2": reranked(second), "error": error(second)}))
