"""`tokenizer.json` of the library tokenizers, read as data: a positive grammar, and the file that the gate serves."""
