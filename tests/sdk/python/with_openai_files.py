"""Drives the files and batches of a gateway with the official `openai` package; prints what it made of the answers, as JSON.

Argument: the gateway's address (`http://127.0.0.1:4356`).
"""

import json
import sys

import openai

client = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="not-needed", max_retries=0)

LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'

file = client.files.create(file=("in.jsonl", LINE), purpose="batch")
batch = client.batches.create(
    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"team": "lab"}
)
done = client.batches.retrieve(batch.id)

try:
    client.files.retrieve("file-other")
except openai.NotFoundError as error:
    missing = error.status_code

# In two parts.
upload = client.uploads.upload_file_chunked(
    file=LINE + LINE, filename="in.jsonl", bytes=2 * len(LINE), mime_type="text/jsonl", purpose="batch", part_size=100
)

print(json.dumps({
    "file": [file.id, file.bytes, file.purpose],
    "shown": client.files.retrieve(file.id).filename,
    "files": [one.id for one in client.files.list(purpose="batch", limit=2)],
    "batch": [batch.id, batch.status, batch.metadata],
    "batches": [one.id for one in client.batches.list(limit=2)],
    "done": done.status,
    "output": client.files.content(done.output_file_id).text,
    "cancelled": client.batches.cancel(batch.id).status,
    "deleted": client.files.delete(file.id).deleted,
    "missing": missing,
    "upload": [upload.id, upload.status, upload.file.id],
}))
