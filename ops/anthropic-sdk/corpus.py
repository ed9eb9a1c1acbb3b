"""Reads each stream of the corpus with Anthropic's Python client: names on standard input, results on standard output."""
import json
import sys

import anthropic

client = anthropic.Anthropic(api_key="sk-ant-api03-corpus", auth_token=None, base_url=sys.argv[1], max_retries=0, timeout=20)


def ask(name):
    return {"model": "claude-haiku-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": f"stream:{name};"}]}


def counts(usage):
    given = usage if isinstance(usage, dict) else usage.to_dict() if usage is not None else {}
    return {name: count for name, count in given.items() if count is not None}


def written(text):
    # As it leaves the program: halves of characters can't be written down.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read(name):
    text, is_whole, usage = "", False, {}
    try:
        for event in client.messages.create(**ask(name), stream=True):
            kind = getattr(event, "type", None)
            if kind == "message_start":
                usage = counts(getattr(event.message, "usage", None))
            elif kind == "content_block_delta" and event.delta.type == "text_delta":
                text += event.delta.text
            elif kind == "message_delta":
                usage |= counts(getattr(event, "usage", None))
            elif kind == "message_stop":
                is_whole = True
    except Exception as error:  # Whatever it raises, it doesn't read the stream.
        return {"refused": repr(error)}
    try:
        with client.messages.stream(**ask(name)) as stream:
            message = stream.get_final_message()
        text = "".join(block.text for block in message.content if block.type == "text")
        # The client hands a message out although its end never came.
    except Exception:
        pass  # It reads the events, and puts no message together: the events count.
    if not is_whole:
        return {"refused": "no end"}
    return {"text": written(text), "input": usage.get("input_tokens", 0), "output": usage.get("output_tokens", 0)}


print(json.dumps({name: read(name) for name in json.load(sys.stdin)}))
