"""Prints the JSON Schema of a whole answer, as the types of Anthropic's SDK have it."""

import json

from anthropic.types import Message

print(json.dumps(Message.model_json_schema()))
