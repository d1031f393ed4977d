"""What is right about an element: of its annotations those that the user selects, and the question that they answer."""

import json
from collections.abc import Iterable, Sequence

from orchestrator.importing.arkindex_element import Element, Named, Options, Store, Text


def find_truth(store: Store, element: Element, options: Options) -> tuple[tuple[str, ...], str | None]:
    """Return the right answers of an element, the likeliest first, or why there is none."""
    if options.truth == "classification":
        return _classes(element, options)
    if options.truth == "metadata":
        return _metadata(store, element, options)
    if options.truth == "entities":
        return _entities(store, element, options)
    return _transcription(store, element, options)


def make_question(options: Options) -> str:
    """Return what is asked, unless the user says it: how to answer, so that answers and truth can be alike."""
    if options.question is not None:
        return options.question
    if options.truth == "classification":
        return "Which class of document is this? Answer with the name of the class alone."
    if options.truth == "metadata":
        if len(options.field) == 1:
            return f"What is the {options.field[0]}? Answer with the value alone."
        what = f" with the keys {', '.join(options.field)}" if options.field else " of names and values"
        return f"What does the document say? Answer with a JSON object{what}."
    if options.truth == "entities":
        what = f" of the types {', '.join(options.field)}" if options.field else ""
        return f"Find the named entities{what}. Answer with a JSON object: for each type a list of texts."
    return "Transcribe all the text."


def find_class(element: Element, options: Options) -> str | None:
    """Return the likeliest class of an element."""
    return next((each.name for each in _likeliest(element.classes, options)), None)


def _transcription(store: Store, element: Element, options: Options) -> tuple[tuple[str, ...], str | None]:
    if options.lines is not None:
        return _joined(store, element, options, options.lines)
    texts = _selected(store.texts(element), options)
    if not texts:
        return (), _none("transcription", options)
    return tuple(dict.fromkeys(text.text for text in texts)), None


def _joined(store: Store, element: Element, options: Options, kind: str) -> tuple[tuple[str, ...], str | None]:
    """Put the best transcription of each part on a line of its own, in reading order."""
    parts = store.children(element, kind)
    if not parts:
        return (), f"has no {kind} below it"
    lines, without = [], 0
    for part in parts:
        texts = _selected(store.texts(part), options)
        lines += [text.text for text in texts[:1]]
        without += not texts
    if without:
        return (), f"{without} of its {len(parts)} {kind} have no transcription {options.whose}"
    return ("\n".join(lines),), None


def _entities(store: Store, element: Element, options: Options) -> tuple[tuple[str, ...], str | None]:
    """Return the entities of the likeliest transcription by type, each text as it stands there."""
    texts = _selected(store.texts(element), options)
    if not texts:
        return (), _none("transcription", options)
    text = texts[0].text
    found: dict[str, list[str]] = {}
    for entity in sorted(store.entities(texts[0]), key=lambda entity: (entity.offset, entity.length)):
        if not options.takes(entity.maker) or (options.field and entity.type not in options.field):
            continue
        if not 0 <= entity.offset <= entity.offset + entity.length <= len(text):
            return (), f"its entity {entity.type} lies outside of its transcription"
        found.setdefault(entity.type, []).append(text[entity.offset : entity.offset + entity.length])
    if not found:
        return (), _none("entity", options)
    return (_dump(found),), None


def _classes(element: Element, options: Options) -> tuple[tuple[str, ...], str | None]:
    names = list(dict.fromkeys(each.name for each in _likeliest(element.classes, options)))
    if not names:
        return (), _none("class", options)
    return (names[0] if len(names) == 1 else json.dumps(names, ensure_ascii=False),), None


def _metadata(store: Store, element: Element, options: Options) -> tuple[tuple[str, ...], str | None]:
    """Return the metadata as an object, a name that is there several times with a list; of one field its value."""
    found: dict[str, list[str]] = {}
    for each in store.metadata(element):
        if options.takes(each.maker) and (not options.field or each.name in options.field):
            found.setdefault(each.name, []).append(each.value)
    if not found:
        return (), _none("metadata", options)
    if len(options.field) == 1:
        (values,) = found.values()
        return tuple(dict.fromkeys(values)), None
    return (_dump({name: values[0] if len(values) == 1 else values for name, values in found.items()}),), None


def _selected(texts: Iterable[Text], options: Options) -> list[Text]:
    """Return what counts, the surest first; what people write has no confidence and is sure."""
    chosen = [text for text in texts if options.takes(text.maker)]
    return sorted(chosen, key=lambda text: -(1.0 if text.confidence is None else text.confidence))


def _likeliest(classes: Sequence[Named], options: Options) -> list[Named]:
    chosen = [each for each in classes if options.takes(each.maker)]
    return sorted(chosen, key=lambda each: -(1.0 if each.confidence is None else each.confidence))


def _none(what: str, options: Options) -> str:
    of = f" of {', '.join(options.field)}" if options.field and what != "transcription" else ""
    return f"has no {what}{of} {options.whose}"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
