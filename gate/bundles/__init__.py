"""The canonical bundle: the texts of the MLflow folder that the gate writes around a program.

Pure: records, texts and bytes. `written` holds what the trusted writer says of a program, `signature` the candidate's
signature as the gate understood it, `folder` composes the files, `losses` tells what a consumer of them gives up.
"""
