"""What the official OpenAI client for Python gets from a router. One line of JSON for each case, in this order.

Arguments: base URL. Environment: OPENAI_API_KEY.
"""

import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1])
ASK = {"model": "assistant", "messages": [{"role": "user", "content": "Say something."}], "max_tokens": 8}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def models():
    return [model.id for model in client.models.list()]


def chat():
    raw = client.chat.completions.with_raw_response.create(**ASK)
    answer = raw.parse()
    return {
        "text": answer.choices[0].message.content,
        "tokens": answer.usage.completion_tokens,
        "backend": raw.headers["x-cadre-backend"],
        "id": answer._request_id == raw.headers["x-request-id"],
    }


def stream():
    chunks = client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    text, tokens = "", None
    for chunk in chunks:
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
    return {"text": text, "tokens": tokens}


def tools():
    messages = [{"role": "user", "content": "How is the weather in Bern?"}]
    first = client.chat.completions.create(model="caller", messages=messages, tools=[WEATHER]).choices[0].message
    call = first.tool_calls[0]
    messages += [first, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    last = client.chat.completions.create(model="caller", messages=messages, tools=[WEATHER]).choices[0].message
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments), "answer": last.content}


def structured():
    schema = {"name": "person", "strict": True, "schema": PERSON}
    answer = client.chat.completions.create(
        model="assistant",
        messages=[{"role": "user", "content": "Anna is 31."}],
        response_format={"type": "json_schema", "json_schema": schema},
    )
    value = json.loads(answer.choices[0].message.content)
    return {name: type(field).__name__ for name, field in sorted(value.items())}


def responses():
    answer = client.responses.create(model="assistant", input="Say something.", max_output_tokens=16)
    with client.responses.stream(model="assistant", input="Say something.", max_output_tokens=16) as events:
        streamed = events.get_final_response()
    return {"same": answer.output_text == streamed.output_text, "text": bool(answer.output_text.strip())}


def embeddings():
    answer = client.embeddings.create(model="embedder", input=["a card", "a bill"])
    return [round(sum(value * value for value in one.embedding), 2) for one in answer.data]


def limited():
    """The engine refuses two requests with 429 and a retry-after of one second: one is told, one is made again."""
    try:
        client.with_options(max_retries=0).chat.completions.create(**ASK)
    except openai.RateLimitError as error:
        refused = {"code": error.code, "after": error.response.headers["retry-after"]}
    return {**refused, "again": bool(client.chat.completions.create(**ASK).choices)}


def abort():
    """Leaves a stream after its first words."""
    with client.chat.completions.create(**{**ASK, "max_tokens": 1500}, stream=True) as chunks:
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                return "left"


def errors():
    try:
        client.chat.completions.create(**{**ASK, "model": "gpt-5"})
    except openai.NotFoundError as error:
        return error.code


# `limited` comes first: it is what the engine was told to do.
for case in [limited, models, chat, stream, tools, structured, responses, embeddings, abort, errors]:
    print(json.dumps({case.__name__: case()}), flush=True)
