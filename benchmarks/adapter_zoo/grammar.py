"""Four tasks that are written by grammar: support, extraction, dates and code. Each prompt has one right answer.

Below `tasks`. A writer yields prompts with answers without end, drawn from a stream of random numbers.
"""

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator

Lesson = tuple[str, str]
"""A prompt and its answer."""
Writer = Callable[[random.Random], Iterator[Lesson]]

_PRODUCTS = (
    "router",
    "phone",
    "tablet",
    "printer",
    "camera",
    "watch",
    "speaker",
    "laptop",
    "thermostat",
    "headset",
    "scanner",
    "projector",
    "television",
    "keyboard",
    "drone",
    "doorbell",
    "scale",
    "lamp",
    "fridge",
    "oven",
    "vacuum",
    "charger",
)
_BRANDS = ("Arlo", "Benz", "Corvo", "Delta", "Elmo", "Fenix", "Garda", "Hilo", "Iris", "Juno", "Kappa", "Lumen")
_ISSUES = (
    ("will not turn on", "Hold the power button of the {it} for ten seconds."),
    ("is very slow", "Restart the {it} and install the latest update."),
    ("cannot find the network", "Reset the network settings of the {it}."),
    ("makes a strange noise", "Switch the {it} off and clean its fan."),
    ("shows a blank screen", "Unplug the {it} and wait one minute."),
    ("arrived damaged", "We will send a new {it} tomorrow."),
    ("asks for a password", "The password of the {it} is printed below it."),
    ("gets too hot", "Keep the {it} away from the sun."),
    ("needs a new battery", "Order a battery for the {it} in our shop."),
    ("is out of warranty", "A repair of the {it} costs forty euros."),
)
_OPENINGS = (
    "My {name} {issue}.",
    "Help, the {name} {issue}.",
    "The {name} that I bought {issue}.",
    "Hello, my {name} {issue}.",
)


def support(chance: random.Random) -> Iterator[Lesson]:
    """Yield complaints about a product and what a help desk answers."""
    while True:
        issue, answer = chance.choice(_ISSUES)
        product = chance.choice(_PRODUCTS)
        name = f"{chance.choice(_BRANDS)} {product}"
        yield chance.choice(_OPENINGS).format(name=name, issue=issue), answer.format(it=product)


_PEOPLE = (
    "Anna",
    "Boris",
    "Carla",
    "David",
    "Elena",
    "Felix",
    "Greta",
    "Hugo",
    "Irene",
    "Jonas",
    "Klara",
    "Leon",
    "Maria",
    "Nils",
    "Olga",
    "Paul",
)
_THINGS = (
    "chairs",
    "lamps",
    "books",
    "shirts",
    "plates",
    "bottles",
    "tickets",
    "pens",
    "shoes",
    "boxes",
    "stamps",
    "candles",
    "towels",
    "mirrors",
)
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_CITIES = ("Leeds", "Porto", "Turin", "Lyon", "Basel", "Ghent", "Oslo", "Graz", "Cork", "Bonn", "Malmo", "Split")
_ORDERS = (
    "{who} ordered {many} {what} for {place}.",
    "{many} {what} go to {who} in {place}.",
    "Please send {who} in {place} {many} {what}.",
    "In {place}, {who} wants {many} {what}.",
)


def extraction(chance: random.Random) -> Iterator[Lesson]:
    """Yield orders in words and the same as JSON."""
    while True:
        who, what, place = chance.choice(_PEOPLE), chance.choice(_THINGS), chance.choice(_CITIES)
        count = chance.randrange(len(_NUMBERS))
        words = chance.choice(_ORDERS).format(who=who, what=what, place=place, many=_NUMBERS[count])
        yield words[0].upper() + words[1:], json.dumps({"who": who, "what": what, "count": count + 2})


_FORMS = ("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%d.%m.%Y", "%d/%m/%Y")
_ASKED = ("Write {day} in short form.", "Short form of {day}?", "The meeting is on {day}. Which date is that?")


def dates(chance: random.Random) -> Iterator[Lesson]:
    """Yield dates as people write them and the same by ISO 8601."""
    while True:
        day = dt.date(1980, 1, 1) + dt.timedelta(days=chance.randrange(365 * 40))
        shown = day.strftime(chance.choice(_FORMS)).lstrip("0")
        yield chance.choice(_ASKED).format(day=shown), day.isoformat()


_NAMES = ("area", "total", "price", "score", "rate", "result", "value", "level", "amount", "size", "gap", "mix")
_LETTERS = ("a", "b", "c", "d", "m", "n", "p", "q", "x", "y", "z", "w")
_WORK = (
    ("adds {a} and {b}", "{a} + {b}"),
    ("multiplies {a} and {b}", "{a} * {b}"),
    ("takes {b} from {a}", "{a} - {b}"),
    ("divides {a} by {b}", "{a} / {b}"),
    ("finds the larger of {a} and {b}", "max({a}, {b})"),
    ("finds the smaller of {a} and {b}", "min({a}, {b})"),
    ("tells whether {a} equals {b}", "{a} == {b}"),
    ("tells whether {a} is above {b}", "{a} > {b}"),
    ("raises {a} to {b}", "{a} ** {b}"),
)
_TOLD = ("Write a function {name} that {work}.", "Python function {name}: it {work}.", "I need {name}, which {work}.")


def code(chance: random.Random) -> Iterator[Lesson]:
    """Yield what a function is to do and the function in Python."""
    while True:
        (work, body), name = chance.choice(_WORK), chance.choice(_NAMES)
        a, b = chance.sample(_LETTERS, 2)
        told = chance.choice(_TOLD).format(name=name, work=work.format(a=a, b=b))
        yield told, f"def {name}({a}, {b}):\n    return {body.format(a=a, b=b)}"


WRITERS: dict[str, Writer] = {"support": support, "extraction": extraction, "dates": dates, "code": code}
