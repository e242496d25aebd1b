"""Closed lists of what public templates read of a message without asking for its text.

The words are those of the documented formats of chats (OpenAI's, transformers', and the model cards' of public
families) and of JSON Schema, in which tools are described. What stands on no list counts as text.
"""

from enum import IntEnum
from typing import Final


class Kind(IntEnum):
    """What an expression holds, by where it comes from."""

    PLAIN = 0
    """Nothing of a message: literals, options, and what a comparison answers."""
    STRUCTURE = 1
    """A role, a type, an identifier, the name of a key: compared with the words below alone."""
    COUNT = 2
    """How many there are of something, or how far a loop has come."""
    OBJECT = 3
    """One item of a list: a message, a part of its content, a document, a tool, or a character of a text."""
    RAW = 4
    """A text or a list as it was given."""
    MADE = 5
    """What is made of a text, in any way that is on no list; the date; a thing of the template that holds a text."""


GIVEN: Final = {
    "messages": Kind.RAW,
    "documents": Kind.RAW,
    "tools": Kind.RAW,
    "custom_tools": Kind.RAW,
    "controls": Kind.RAW,
    "system_message": Kind.RAW,
    "date_string": Kind.MADE,
    "strftime_now": Kind.MADE,
    "loop": Kind.MADE,
    "varargs": Kind.MADE,
    "kwargs": Kind.MADE,
}
"""The kinds of what a template is handed, and of what Jinja hands to loops and macros."""
TOOLS: Final = frozenset({"tools", "custom_tools"})
"""Those of them that describe tools."""
LOOP: Final = {
    "first": Kind.PLAIN,
    "last": Kind.PLAIN,
    **dict.fromkeys(("index", "index0", "revindex", "revindex0", "length"), Kind.COUNT),
}
"""What a loop says of itself, except for its neighbours, which are items of what it walks through."""
NEIGHBOURS: Final = frozenset({"loop.previtem", "loop.nextitem"})
STRUCTURE: Final = frozenset({"role", "type", "id", "tool_call_id", "required"})
"""Keys whose values are no text of anybody."""
OBJECTS: Final = frozenset({"function", "parameters", "properties", "items", "return", "schema", "json_schema"})
"""Keys whose values are objects, of which a template may ask whether they have a key."""
_ROLES: Final = frozenset(
    {
        "system",
        "user",
        "assistant",
        "tool",
        "developer",
        "ipython",
        "function",
        "model",
        "human",
        "gpt",
        "bot",
        "chatbot",
    }
    | {"tool_result", "tool_results", "tool_response", "tool_call", "observation", "environment", "context"}
    | {"document", "critic", "final", "analysis", "commentary", "latest_reminder"}
)
_TYPES: Final = frozenset(
    {
        "text",
        "image",
        "image_url",
        "video",
        "video_url",
        "audio",
        "audio_url",
        "input_audio",
        "input_text",
        "input_image",
    }
    | {"output_text", "file", "thinking", "reasoning", "tool_use", "refusal", "json"}
    | {
        "string",
        "integer",
        "number",
        "boolean",
        "array",
        "object",
        "null",
        "bool",
        "int",
        "float",
        "str",
        "list",
        "dict",
    }
    | {"code_interpreter", "builtin_function"}
)
_MESSAGE: Final = frozenset(
    {
        "content",
        "name",
        "tool_calls",
        "function_call",
        "functions",
        "arguments",
        "reasoning_content",
        "thought",
        "thoughts",
    }
    | {"thinking", "reasoning", "tool_plan", "tool_responses", "citations", "images", "videos", "audios", "documents"}
    | {"tools", "prefix", "partial", "recipient", "channel", "end_turn", "weight", "results", "output", "result"}
    | {"url", "path", "base64", "data", "source", "snippet", "date", "author", "doc_id", "metadata", "citation_mode"}
    | {"content_type", "response", "call_id", "parts", "think_fast", "masked", "loss", "train", "mask", "format_type"}
)
_SCHEMA: Final = frozenset(
    {"title", "description", "required", "enum", "default", "format", "nullable", "oneOf", "anyOf", "allOf", "any_of"}
    | {"one_of", "all_of", "additionalProperties", "minimum", "maximum", "minItems", "maxItems", "minLength"}
    | {"maxLength", "pattern", "examples", "const", "not", "$ref", "$defs", "definitions", "strict"}
)
WORDS: Final = STRUCTURE | OBJECTS | _ROLES | _TYPES | _MESSAGE | _SCHEMA
"""Roles, types and keys: with these a template may compare structure, and of these keys it may ask for presence."""
MARKS: Final = frozenset(
    {
        "<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>",
        "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tool_calls>", "</tool_calls>",
        "<<SYS>>", "<</SYS>>", "<|end_of_thought|>", "<|begin_of_thought|>", "/think", "/no_think", "/nothink",
        "/system_override",
    }
)  # fmt: skip
"""Marks and switches of public templates, each as its maker documents it."""
TOKENS: Final = frozenset(
    {"bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"}
    | {"additional_special_tokens"}
)
"""What a tokenizer's settings say, which come with the candidate: literals by another name."""
VARIABLES: Final = TOKENS | frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "date_string"}
    | {"raise_exception", "strftime_now", "namespace", "range", "dict", "true", "false", "none", "loop", "caller"}
    | {"enable_thinking", "thinking", "reasoning_effort", "tools_in_user_message", "custom_tools", "builtin_tools"}
    | {"xml_tools", "python_tools", "controls", "system_message", "safety_mode", "citation_mode", "citations"}
    | {"add_vision_id", "model_identity"}
)
"""What transformers and the documented options of public templates hand to a template."""
FUNCTIONS: Final = frozenset({"raise_exception", "strftime_now", "namespace", "range", "dict", "caller"})
METHODS: Final = frozenset(
    {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition", "replace", "lower"}
    | {"upper", "title", "capitalize", "startswith", "endswith", "removeprefix", "removesuffix", "join", "items"}
    | {"keys", "values", "get", "append", "update", "copy", "pop", "format"}
)
FILTERS: Final = frozenset(
    {"trim", "tojson", "length", "count", "first", "last", "list", "join", "map", "select", "reject", "selectattr"}
    | {"rejectattr", "items", "default", "d", "string", "safe", "lower", "upper", "capitalize", "title", "replace"}
    | {"indent", "int", "float", "dictsort", "sort", "unique", "reverse", "batch", "abs", "round", "min", "max", "sum"}
)
