"""The canonical bundle: the MLflow folder that the gate writes around a program, composed and put on disk.

Texts and bytes out of records: `folder` composes the files, `environment`, `example` and `opens` are parts of them,
`losses` tells what a consumer of them gives up, and `compose` puts them beside the program that the writer left.
"""
