"""`gate explain`: what a detector measures, why it matters, what it is blind to."""

import click

from gate.errors import UsageError


@click.command()
@click.argument("detector", required=False)
def explain(detector: str | None) -> None:
    """Say what DETECTOR measures, why it matters and what it is blind to; without one, list them all."""
    from gate import detectors
    from gate.docstrings import PARTS, parts, summary

    if detector is None:
        for name in detectors.names():
            click.echo(f"{name:24} {summary(detectors.load(name).measure.__module__)}")
        return
    if detector not in detectors.names():
        raise UsageError(f"unknown detector {detector!r}; expected one of {', '.join(detectors.names())}")
    found = detectors.load(detector)
    text = parts(found.measure.__module__)
    click.echo(f"{found.id}: {found.title}\n{summary(found.measure.__module__)}\n")
    for part in PARTS:
        click.echo(click.wrap_text(f"{part:<10}{text[part]}", width=100, subsequent_indent=" " * 10))
    click.echo("\nMetrics")
    for metric in found.metrics:
        worse = "" if metric.worse == "neither" else f"; {metric.worse} is worse"
        click.echo(f"  {metric.id} ({metric.unit}{worse}): {metric.meaning}")
    options = found.options.model_json_schema(by_alias=True).get("properties", {})
    if options:
        click.echo("\nOptions in the policy")
        for name, schema in options.items():
            click.echo(f"  {name}: default {schema.get('default')}")
